import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.LwM2mId;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

/**
 * LwM2M devices with Leshan's libraries, in one process, driven in the manner of ../lines.h.
 *
 * Lines on stdin: new N URI CID-LENGTH ACK-TIMEOUT-MS [queue] level N VALUE update N end N
 * Lines on stdout: ready registered N REGISTRATION updated N failed N WHY
 * Device N is endpoint and identity dN. The process ends with its stdin.
 */
class Client {

	private static final byte[] KEY = HexFormat.of().parseHex("000102030405060708090a0b0c0d0e0f");
	private static final int LIFETIME_S = 86400;

	/* Object 3: a battery level that may be observed, and an offset that may be written. */
	public static class Device extends BaseInstanceEnabler {
		private static final int MANUFACTURER = 0, LEVEL = 9, BINDING = 16, OFFSET = 14;
		private volatile long level = 100;
		private volatile String offset = "+00";

		void change(long value) {
			level = value;
			fireResourceChange(LEVEL);
		}

		@Override
		public ReadResponse read(LwM2mServer server, int resource) {
			switch (resource) {
			case MANUFACTURER:
				return ReadResponse.success(resource, "cidlb");
			case LEVEL:
				return ReadResponse.success(resource, level);
			case OFFSET:
				return ReadResponse.success(resource, offset);
			case BINDING:
				return ReadResponse.success(resource, "U");
			default:
				return super.read(server, resource);
			}
		}

		@Override
		public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
			if (resource != OFFSET) {
				return super.write(server, replace, resource, value);
			}
			offset = (String) value.getValue();
			return WriteResponse.success();
		}

		@Override
		public List<Integer> getAvailableResourceIds(ObjectModel model) {
			return List.of(MANUFACTURER, LEVEL, OFFSET, BINDING);
		}
	}

	private static class Observer extends LwM2mClientObserverAdapter {
		private final String number;

		Observer(String number) {
			this.number = number;
		}

		@Override
		public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String registration) {
			say("registered " + number + " " + registration);
		}

		@Override
		public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
			say("updated " + number);
		}

		@Override
		public void onRegistrationTimeout(LwM2mServer server, RegisterRequest request) {
			say("failed " + number + " register timeout");
		}

		@Override
		public void onUpdateTimeout(LwM2mServer server, UpdateRequest request) {
			say("failed " + number + " update timeout");
		}

		@Override
		public void onUpdateFailure(LwM2mServer server, UpdateRequest request, ResponseCode code, String text, Exception why) {
			say("failed " + number + " update " + code + " " + why);
		}

		@Override
		public void onRegistrationFailure(LwM2mServer server, RegisterRequest request, ResponseCode code, String text,
				Exception why) {
			say("failed " + number + " register " + code + " " + why);
		}
	}

	private final Map<String, LeshanClient> clients = new ConcurrentHashMap<>();
	private final Map<String, Device> devices = new ConcurrentHashMap<>();
	/* A device occupies a thread while it waits for its Update to be answered. */
	private final ScheduledExecutorService executor = Executors.newScheduledThreadPool(64);

	private static void say(String line) {
		synchronized (System.out) {
			System.out.println(line);
			System.out.flush();
		}
	}

	private static CaliforniumClientEndpointsProvider endpoints(int cidLength, int ackTimeoutMs) {
		CaliforniumClientEndpointsProvider.Builder builder = new CaliforniumClientEndpointsProvider.Builder(
				new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
		Configuration configuration = builder.createDefaultConfiguration();
		configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, cidLength);
		configuration.set(CoapConfig.ACK_TIMEOUT, ackTimeoutMs, TimeUnit.MILLISECONDS);
		/* Californium numbers its messages anew for each address that it sees of a device. At the tests' pace one number
		 * in some thousand returns within 247 s, and the device would take the request for a repetition. */
		configuration.set(CoapConfig.DEDUPLICATOR, CoapConfig.NO_DEDUPLICATOR);
		return builder.setConfiguration(configuration).build();
	}

	private void begin(String number, String uri, int cidLength, int ackTimeoutMs, boolean queue) {
		String name = "d" + number;
		Device device = new Device();
		ObjectsInitializer objects = new ObjectsInitializer();
		objects.setInstancesForObject(LwM2mId.SECURITY,
				uri.startsWith("coaps:") ? Security.psk(uri, 1, name.getBytes(), KEY) : Security.noSec(uri, 1));
		objects.setInstancesForObject(LwM2mId.SERVER, new org.eclipse.leshan.client.object.Server(1, LIFETIME_S));
		objects.setInstancesForObject(LwM2mId.DEVICE, device);
		DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory();
		engine.setQueueMode(queue).setRetryWaitingTimeInMs(1000);
		LeshanClientBuilder builder = new LeshanClientBuilder(name);
		builder.setObjects(objects.createAll());
		builder.setRegistrationEngineFactory(engine);
		builder.setSharedExecutor(executor);
		builder.setEndpointsProviders(endpoints(cidLength, ackTimeoutMs));
		LeshanClient client = builder.build();
		client.addObserver(new Observer(number));
		devices.put(number, device);
		clients.put(number, client);
		client.start();
	}

	private void command(String[] words) {
		switch (words[0]) {
		case "new":
			begin(words[1], words[2], Integer.parseInt(words[3]), Integer.parseInt(words[4]), words.length > 5);
			break;
		case "level":
			devices.get(words[1]).change(Long.parseLong(words[2]));
			break;
		case "update":
			clients.get(words[1]).triggerRegistrationUpdate();
			break;
		case "end":
			clients.remove(words[1]).destroy(false);
			break;
		default:
			System.err.println("no command " + words[0]);
		}
	}

	public static void main(String[] args) throws Exception {
		Client all = new Client();
		say("ready");
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line = in.readLine(); line != null; line = in.readLine()) {
			all.command(line.split(" "));
		}
		System.exit(0);
	}
}
