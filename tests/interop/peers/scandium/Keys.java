import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.pskstore.SinglePskStore;

/** What Californium 4 calls otherwise than Californium 3. */
class Keys {

	static void use(DtlsConnectorConfig.Builder dtls, String identity, byte[] key) {
		dtls.setPskStore(new SinglePskStore(identity, key));
	}
}
