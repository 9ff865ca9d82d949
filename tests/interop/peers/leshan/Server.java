import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.DtlsHealthLogger;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.exception.ClientSleepingException;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.queue.StaticClientAwakeTimeProvider;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coaps.CoapsServerProtocolProvider;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

/** An LwM2M server with Leshan's libraries, and of its demo's REST paths those that the tests need. */
class Server {

	private static final String USAGE = "usage: Server ADDRESS COAP-PORT COAPS-PORT HTTP-PORT [node-id=N] [cid-length=N] [awake=MS]\n"
			+ "              [update-on-notify] [saved=FOLDER]";

	/* Californium's own count of handshakes. */
	private static class Handshakes extends DtlsHealthLogger {
		final AtomicInteger done = new AtomicInteger();

		@Override
		public boolean isEnabled() {
			return true;
		}

		@Override
		public void endHandshake(boolean success) {
			if (success) {
				done.incrementAndGet();
			}
		}
	}

	private final Handshakes handshakes = new Handshakes();
	private final InMemorySecurityStore security = new InMemorySecurityStore();
	private LeshanServer leshan;
	private int loaded; /* sessions of its predecessor */

	private static void answer(HttpExchange exchange, int status, Object said) throws IOException {
		byte[] text = String.valueOf(said).getBytes(StandardCharsets.UTF_8);
		exchange.sendResponseHeaders(status, text.length);
		try (OutputStream out = exchange.getResponseBody()) {
			out.write(text);
		}
	}

	/* /api/clients, /api/clients/EP, and /api/clients/EP/3/0/9[/observe]?timeout=S to ask the device. */
	private void clients(HttpExchange exchange) throws Exception {
		String[] words = exchange.getRequestURI().getPath().substring("/api/clients".length()).split("/", 3);
		if (words.length < 2 || words[1].isEmpty()) {
			ArrayNode all = Answers.JSON.createArrayNode();
			for (Iterator<Registration> i = leshan.getRegistrationService().getAllRegistrations(); i.hasNext();) {
				all.add(Answers.of(i.next()));
			}
			answer(exchange, 200, all);
			return;
		}
		Registration registration = leshan.getRegistrationService().getByEndpoint(words[1]);
		if (registration == null) {
			answer(exchange, 404, "No registered client with id " + words[1]);
		} else if (words.length == 2) {
			answer(exchange, 200, Answers.of(registration));
		} else {
			ask(exchange, registration, "/" + words[2]);
		}
	}

	private void ask(HttpExchange exchange, Registration registration, String path) throws Exception {
		String query = exchange.getRequestURI().getQuery();
		long timeout = query == null ? 5000 : (long) (1000 * Double.parseDouble(query.substring("timeout=".length())));
		String method = exchange.getRequestMethod(), resource = path.replaceFirst("/observe$", "");
		DownlinkDeviceManagementRequest<? extends LwM2mResponse> request;
		if (method.equals("DELETE")) {
			leshan.getObservationService().cancelObservations(registration, resource);
			answer(exchange, 200, "{}");
			return;
		} else if (method.equals("POST")) {
			request = new ObserveRequest(resource);
		} else if (method.equals("PUT")) {
			LwM2mPath to = new LwM2mPath(path);
			String value = Answers.JSON.readTree(exchange.getRequestBody()).get("value").asText();
			request = new WriteRequest(to.getObjectId(), to.getObjectInstanceId(), to.getResourceId(), value);
		} else {
			request = new ReadRequest(path);
		}
		LwM2mResponse response;
		try {
			response = leshan.send(registration, request, timeout);
		} catch (ClientSleepingException sleeping) {
			answer(exchange, 400, "Invalid request: " + sleeping.getMessage());
			return;
		}
		answer(exchange, response == null ? 504 : 200, response == null ? "Request timeout" : Answers.of(response));
	}

	/* PUT {"endpoint": EP, "tls": {"mode": "psk", "details": {"identity": ID, "key": HEX}}} */
	private void secure(HttpExchange exchange) throws Exception {
		JsonNode asked = Answers.JSON.readTree(exchange.getRequestBody()), details = asked.get("tls").get("details");
		byte[] key = HexFormat.of().parseHex(details.get("key").asText());
		security.add(SecurityInfo.newPreSharedKeyInfo(asked.get("endpoint").asText(), details.get("identity").asText(), key));
		answer(exchange, 200, "{}");
	}

	private interface Handler {
		void handle(HttpExchange exchange) throws Exception;
	}

	private static void serve(HttpServer http, String path, Handler handler) {
		http.createContext(path, exchange -> {
			try {
				handler.handle(exchange);
			} catch (Exception error) {
				error.printStackTrace();
				answer(exchange, 500, error);
			} finally {
				exchange.close();
			}
		});
	}

	/* Without them Californium draws CIDs of six random octets. */
	private static void setCids(Configuration configuration, Map<String, String> options) {
		if (options.containsKey("cid-length")) {
			configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, Integer.valueOf(options.get("cid-length")));
		}
		if (options.containsKey("node-id")) {
			configuration.set(DtlsConfig.DTLS_CONNECTION_ID_NODE_ID, Integer.valueOf(options.get("node-id")));
		}
	}

	/* Its successor goes on with its sessions, at this address or another. */
	private void saveAtEnd(Saved saved) {
		Runtime.getRuntime().addShutdownHook(new Thread(() -> {
			leshan.stop();
			try {
				saved.save();
			} catch (IOException error) {
				error.printStackTrace();
			}
		}));
	}

	private void setDtls(DtlsConnectorConfig.Builder dtls) {
		dtls.setHealthHandler(handshakes);
		dtls.setSerializationLabel("coaps");
	}

	private void run(InetAddress at, String[] args, Map<String, String> options) throws Exception {
		CaliforniumServerEndpointsProvider.Builder builder = new CaliforniumServerEndpointsProvider.Builder(
				new CoapServerProtocolProvider(), new CoapsServerProtocolProvider(this::setDtls));
		Configuration configuration = builder.createDefaultConfiguration();
		setCids(configuration, options);
		builder.setConfiguration(configuration);
		builder.addEndpoint(new InetSocketAddress(at, Integer.parseInt(args[1])), Protocol.COAP);
		builder.addEndpoint(new InetSocketAddress(at, Integer.parseInt(args[2])), Protocol.COAPS);
		LeshanServerBuilder server = new LeshanServerBuilder();
		server.setSecurityStore(security);
		if (options.containsKey("awake")) {
			server.setClientAwakeTimeProvider(new StaticClientAwakeTimeProvider(Integer.parseInt(options.get("awake"))));
		}
		server.setUpdateRegistrationOnNotification(options.containsKey("update-on-notify"));
		CaliforniumServerEndpointsProvider endpoints = builder.build();
		server.setEndpointsProviders(endpoints);
		leshan = server.build();
		Events events = new Events(leshan);
		HttpServer http = HttpServer.create(new InetSocketAddress(at, Integer.parseInt(args[3])), 100);
		http.setExecutor(Executors.newCachedThreadPool());
		serve(http, "/api/clients", this::clients);
		serve(http, "/api/security/clients", this::secure);
		serve(http, "/api/event", events::serve);
		serve(http, "/handshakes", exchange -> answer(exchange, 200, handshakes.done));
		serve(http, "/loaded", exchange -> answer(exchange, 200, loaded));
		if (options.containsKey("saved")) {
			Saved saved = new Saved(Path.of(options.get("saved")), endpoints.getCoapServer(), security,
					leshan.getRegistrationStore());
			loaded = saved.load();
			saveAtEnd(saved);
		}
		leshan.start();
		http.start();
		System.out.println("ready");
	}

	public static void main(String[] args) throws Exception {
		if (args.length < 4) {
			System.err.println(USAGE);
			System.exit(2);
		}
		Map<String, String> options = new HashMap<>();
		for (int i = 4; i < args.length; i++) {
			String[] words = args[i].split("=", 2);
			options.put(words[0], words.length > 1 ? words[1] : "");
		}
		new Server().run(InetAddress.getByName(args[0]), args, options);
	}
}
