import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;

/** What Californium 3 calls otherwise than Californium 4. */
class Keys {

	static void use(DtlsConnectorConfig.Builder dtls, String identity, byte[] key) {
		dtls.setAdvancedPskStore(new AdvancedSinglePskStore(identity, key));
	}
}
