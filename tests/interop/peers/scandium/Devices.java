import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;

import org.eclipse.californium.elements.AddressEndpointContext;
import org.eclipse.californium.elements.RawData;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.util.StringUtil;
import org.eclipse.californium.scandium.ConnectionListener;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConfig.DtlsRole;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.Connection;

/** DTLS devices with Californium's Scandium and PSK, each with a connector of its own: the lines of ../device.c. */
class Devices {

	private static final String KEY = "000102030405060708090a0b0c0d0e0f";

	private static class Device implements ConnectionListener {
		private final String number;
		private final AddressEndpointContext server;
		private final DTLSConnector connector;

		Device(String number, String target, int cidOctets) throws Exception {
			this.number = number;
			int colon = target.indexOf(':');
			server = new AddressEndpointContext(new InetSocketAddress(
					InetAddress.getByName(target.substring(0, colon)), Integer.parseInt(target.substring(colon + 1))));
			Configuration configuration = new Configuration();
			configuration.set(DtlsConfig.DTLS_ROLE, DtlsRole.CLIENT_ONLY);
			configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
			configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, cidOctets);
			configuration.set(DtlsConfig.DTLS_MAX_CONNECTIONS, 8);
			configuration.set(DtlsConfig.DTLS_RECEIVER_THREAD_COUNT, 1);
			configuration.set(DtlsConfig.DTLS_CONNECTOR_THREAD_COUNT, 1);
			DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration);
			dtls.setAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
			Keys.use(dtls, "demo", StringUtil.hex2ByteArray(KEY));
			dtls.setConnectionListener(this);
			connector = new DTLSConnector(dtls.build());
			connector.setRawDataReceiver(data -> say("data " + number + " " + StringUtil.byteArray2Hex(data.getBytes())));
			connector.start();
			send(new byte[0]); // it shakes hands when it has something to send
		}

		void send(byte[] data) {
			connector.send(RawData.outbound(data, server, null, false));
		}

		@Override
		public void onConnectionEstablished(Connection connection) {
			InetSocketAddress peer = connection.getPeerAddress();
			say("open " + number + " " + peer.getAddress().getHostAddress() + ":" + peer.getPort());
		}

		@Override
		public void onConnectionRemoved(Connection connection) {
			say("closed " + number + " removed");
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
	}

	private static void say(String line) {
		synchronized (System.out) {
			System.out.println(line);
			System.out.flush();
		}
	}

	public static void main(String[] args) throws Exception {
		boolean takesCids = args.length == 1 && args[0].equals("cid");
		if (args.length != 0 && !takesCids) {
			System.err.println("usage: Devices [cid]");
			System.exit(2);
		}
		DtlsConfig.register();
		Map<String, Device> devices = new HashMap<>();
		say("ready");
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line = in.readLine(); line != null; line = in.readLine()) {
			String[] words = line.split(" ");
			if (words.length == 3 && words[0].equals("new")) {
				devices.put(words[1], new Device(words[1], words[2], takesCids ? 6 : 0));
			} else if (words.length == 3 && devices.containsKey(words[1])) {
				devices.get(words[1]).send(StringUtil.hex2ByteArray(words[2]));
			}
		}
		System.exit(0);
	}
}
