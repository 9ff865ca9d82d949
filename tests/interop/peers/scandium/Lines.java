import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;

import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.elements.DtlsEndpointContext;
import org.eclipse.californium.elements.RawData;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.util.Bytes;
import org.eclipse.californium.elements.util.StringUtil;
import org.eclipse.californium.scandium.ConnectionListener;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConfig.DtlsRole;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.Connection;

/** A DTLS server with Californium's Scandium, PSK and CIDs with a node id: the lines of ../lines.h. */
class Lines implements ConnectionListener {

	private static final String KEY = "000102030405060708090a0b0c0d0e0f";

	private static class Session {
		int number;
		InetSocketAddress address;
		EndpointContext context;
	}

	private final Map<String, Session> byCid = new HashMap<>();
	private final Map<Integer, Session> byNumber = new HashMap<>();
	private DTLSConnector connector;

	private static void say(String line) {
		synchronized (System.out) {
			System.out.println(line);
			System.out.flush();
		}
	}

	private static String text(InetSocketAddress address) {
		return address.getAddress().getHostAddress() + ":" + address.getPort();
	}

	@Override
	public synchronized void onConnectionEstablished(Connection connection) {
		String cid = connection.getConnectionId().getAsString();
		if (byCid.containsKey(cid)) {
			return;
		}
		Session session = new Session();
		session.number = byNumber.size() + 1;
		session.address = connection.getPeerAddress();
		byCid.put(cid, session);
		byNumber.put(session.number, session);
		say("open " + session.number + " " + text(session.address));
	}

	@Override
	public synchronized void onConnectionRemoved(Connection connection) {
		Session session = byCid.remove(connection.getConnectionId().getAsString());
		if (session != null) {
			say("closed " + session.number + " removed");
		}
	}

	@Override
	public boolean onConnectionUpdatesSequenceNumbers(Connection connection, boolean writeSequenceNumber) {
		return false;
	}

	@Override
	public void beforeExecution(Connection connection) {
	}

	@Override
	public void updateExecution(Connection connection) {
	}

	@Override
	public void afterExecution(Connection connection) {
	}

	@Override
	public boolean onConnectionMacError(Connection connection) {
		return false;
	}

	/* Of a device without a CID its address is all that is known. */
	private Session newestOf(InetSocketAddress address) {
		Session newest = null;
		for (Session session : byNumber.values()) {
			if (session.address.equals(address) && (newest == null || session.number > newest.number)) {
				newest = session;
			}
		}
		return newest;
	}

	/* Scandium moves the address itself, on records that are the newest. Answers go where the session is. */
	private synchronized void receive(RawData data) {
		EndpointContext context = data.getEndpointContext();
		Bytes cid = context.get(DtlsEndpointContext.KEY_READ_CONNECTION_ID);
		Session session = cid == null ? newestOf(context.getPeerAddress()) : byCid.get(cid.getAsString());
		if (session == null) {
			return;
		}
		boolean newest = !Boolean.FALSE.equals(context.get(DtlsEndpointContext.KEY_NEWEST_RECORD));
		if (newest) {
			if (!context.getPeerAddress().equals(session.address)) {
				session.address = context.getPeerAddress();
				say("moved " + session.number + " " + text(session.address));
			}
			session.context = context;
		}
		say("data " + session.number + " " + StringUtil.byteArray2Hex(data.getBytes()));
	}

	private void command(String line) {
		String[] words = line.split(" ");
		Session session;
		synchronized (this) {
			session = words.length == 3 ? byNumber.get(Integer.valueOf(words[1])) : null;
		}
		if (session != null && session.context != null) {
			connector.send(RawData.outbound(StringUtil.hex2ByteArray(words[2]), session.context, null, false));
		}
	}

	private void run(int port, int id) throws Exception {
		DtlsConfig.register();
		Configuration configuration = new Configuration();
		configuration.set(DtlsConfig.DTLS_ROLE, DtlsRole.SERVER_ONLY);
		configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
		configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 6);
		configuration.set(DtlsConfig.DTLS_CONNECTION_ID_NODE_ID, id);
		DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration);
		dtls.setAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
		Keys.use(dtls, "demo", StringUtil.hex2ByteArray(KEY));
		dtls.setConnectionListener(this);
		connector = new DTLSConnector(dtls.build());
		connector.setRawDataReceiver(this::receive);
		connector.start();
		say("ready");
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line = in.readLine(); line != null; line = in.readLine()) {
			command(line);
		}
		System.exit(0);
	}

	public static void main(String[] args) throws Exception {
		if (args.length != 2) {
			System.err.println("usage: Lines PORT ID");
			System.exit(2);
		}
		new Lines().run(Integer.parseInt(args[0]), Integer.parseInt(args[1]));
	}
}
