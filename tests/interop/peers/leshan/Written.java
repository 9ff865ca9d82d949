import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Date;
import java.util.HexFormat;
import java.util.Map;

import org.eclipse.leshan.core.LwM2m.LwM2mVersion;
import org.eclipse.leshan.core.endpoint.DefaultEndPointUriHandler;
import org.eclipse.leshan.core.endpoint.EndPointUriHandler;
import org.eclipse.leshan.core.link.DefaultLinkSerializer;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.link.LinkParseException;
import org.eclipse.leshan.core.link.lwm2m.DefaultLwM2mLinkParser;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.observation.ObservationIdentifier;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.core.peer.PskIdentity;
import org.eclipse.leshan.core.peer.SocketIdentity;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.server.registration.DefaultRegistrationDataExtractor;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationDataExtractor.RegistrationData;
import org.eclipse.leshan.servers.security.SecurityInfo;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * What Leshan knows of a device, as JSON and back: of devices with a key or with none, and of observations of one
 * resource. Leshan's own store in Redis (leshan-lwm2m-server-redis) does this for all of them.
 */
class Written {

	private static final EndPointUriHandler URIS = new DefaultEndPointUriHandler();
	private static final TypeReference<Map<String, String>> TEXTS = new TypeReference<>() {
	};

	private Written() {
	}

	static ObjectNode of(SecurityInfo info) {
		ObjectNode said = Answers.JSON.createObjectNode();
		said.put("endpoint", info.getEndpoint());
		said.put("identity", info.getPskIdentity());
		said.put("key", HexFormat.of().formatHex(info.getPreSharedKey()));
		return said;
	}

	static SecurityInfo securityInfo(JsonNode said) {
		return SecurityInfo.newPreSharedKeyInfo(said.get("endpoint").asText(), said.get("identity").asText(),
				HexFormat.of().parseHex(said.get("key").asText()));
	}

	static ObjectNode of(Registration registration) {
		ObjectNode said = Answers.JSON.createObjectNode();
		InetSocketAddress address = registration.getSocketAddress();
		said.put("id", registration.getId());
		said.put("endpoint", registration.getEndpoint());
		said.put("uri", registration.getEndpointUri().toString());
		said.put("address", address.getAddress().getHostAddress());
		said.put("port", address.getPort());
		if (registration.getClientTransportData().getIdentity() instanceof PskIdentity psk) {
			said.put("identity", psk.getPskIdentity());
		}
		said.put("version", registration.getLwM2mVersion().toString());
		said.put("lifetime", registration.getLifeTimeInSec());
		said.put("binding", BindingMode.toString(registration.getBindingMode()));
		said.put("queue", registration.getQueueMode());
		said.put("since", registration.getRegistrationDate().getTime());
		said.put("updated", registration.getLastUpdate().getTime());
		said.put("links", new DefaultLinkSerializer().serializeCoreLinkFormat(registration.getObjectLinks()));
		said.set("more", Answers.JSON.valueToTree(registration.getAdditionalRegistrationAttributes()));
		return said;
	}

	static Registration registration(JsonNode said) throws LinkParseException {
		InetSocketAddress address = new InetSocketAddress(said.get("address").asText(), said.get("port").asInt());
		LwM2mIdentity identity = said.has("identity") ? new PskIdentity(said.get("identity").asText())
				: new SocketIdentity(address);
		LwM2mVersion version = LwM2mVersion.get(said.get("version").asText());
		byte[] links = said.get("links").asText().getBytes(StandardCharsets.UTF_8);
		Link[] objects = new DefaultLwM2mLinkParser().parseCoreLinkFormat(links);
		RegistrationData data = new DefaultRegistrationDataExtractor().extractDataFromObjectLinks(objects, version);
		Registration.Builder builder = new Registration.Builder(said.get("id").asText(), said.get("endpoint").asText(),
				new IpPeer(address, identity), URIS.createUri(said.get("uri").asText()));
		builder.lwM2mVersion(version).lifeTimeInSec(said.get("lifetime").asLong());
		builder.bindingMode(BindingMode.parse(said.get("binding").asText()));
		builder.queueMode(said.get("queue").isNull() ? null : said.get("queue").asBoolean());
		builder.registrationDate(new Date(said.get("since").asLong())).lastUpdate(new Date(said.get("updated").asLong()));
		builder.additionalRegistrationAttributes(Answers.JSON.convertValue(said.get("more"), TEXTS));
		builder.objectLinks(objects).rootPath(data.getAlternatePath()).supportedObjects(data.getSupportedObjects());
		builder.supportedContentFormats(data.getSupportedContentFormats()).availableInstances(data.getAvailableInstances());
		return builder.build();
	}

	static ObjectNode of(SingleObservation observation) {
		ObjectNode said = Answers.JSON.createObjectNode();
		said.put("uri", observation.getId().getEndpointUri().toString());
		said.put("token", observation.getId().getAsHexString());
		said.put("registration", observation.getRegistrationId());
		said.put("path", observation.getPath().toString());
		said.put("format", observation.getContentFormat() == null ? null : observation.getContentFormat().getCode());
		said.set("context", Answers.JSON.valueToTree(observation.getContext()));
		said.set("protocol", Answers.JSON.valueToTree(observation.getProtocolData()));
		return said;
	}

	static SingleObservation observation(JsonNode said) {
		byte[] token = HexFormat.of().parseHex(said.get("token").asText());
		ContentFormat format = said.get("format").isNull() ? null : ContentFormat.fromCode(said.get("format").asInt());
		return new SingleObservation(new ObservationIdentifier(URIS.createUri(said.get("uri").asText()), token),
				said.get("registration").asText(), new LwM2mPath(said.get("path").asText()), format,
				Answers.JSON.convertValue(said.get("context"), TEXTS), Answers.JSON.convertValue(said.get("protocol"), TEXTS));
	}
}
