import java.net.InetAddress;
import java.net.InetSocketAddress;

import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.elements.config.CertificateAuthenticationMode;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.SystemConfig;
import org.eclipse.californium.elements.util.SslContextUtil;
import org.eclipse.californium.elements.util.StringUtil;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConfig.DtlsRole;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;

/** A CoAP server with Californium: /echo. */
class Server {

	private static final String USAGE = "usage: Server PORT psk [CID-LENGTH [NODE-ID]] | Server PORT cert CERTIFICATE-AND-KEY";

	private static DTLSConnector connector(String[] args) throws Exception {
		Configuration configuration = new Configuration();
		configuration.set(DtlsConfig.DTLS_ROLE, DtlsRole.SERVER_ONLY);
		configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
		if (args[1].equals("psk") && args.length > 2) {
			configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, Integer.valueOf(args[2]));
		}
		if (args[1].equals("psk") && args.length > 3) {
			configuration.set(DtlsConfig.DTLS_CONNECTION_ID_NODE_ID, Integer.valueOf(args[3]));
		}
		DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration);
		dtls.setAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[0])));
		if (args[1].equals("psk")) {
			dtls.setAdvancedPskStore(new AdvancedSinglePskStore("demo", StringUtil.hex2ByteArray("000102030405060708090a0b0c0d0e0f")));
		} else {
			SslContextUtil.Credentials own = SslContextUtil.loadCredentials(args[2]);
			dtls.set(DtlsConfig.DTLS_CLIENT_AUTHENTICATION_MODE, CertificateAuthenticationMode.NONE);
			dtls.setCertificateIdentityProvider(new SingleCertificateProvider(own.getPrivateKey(), own.getCertificateChain()));
		}
		return new DTLSConnector(dtls.build());
	}

	public static void main(String[] args) throws Exception {
		if (args.length < 2) {
			System.err.println(USAGE);
			System.exit(2);
		}
		CoapConfig.register();
		DtlsConfig.register();
		SystemConfig.register();
		CoapServer server = new CoapServer(new Configuration());
		server.addEndpoint(new CoapEndpoint.Builder().setConnector(connector(args)).build());
		server.add(new CoapResource("echo") {
			@Override
			public void handlePOST(CoapExchange exchange) {
				exchange.respond(ResponseCode.CHANGED, exchange.getRequestPayload());
			}
		});
		server.start();
	}
}
