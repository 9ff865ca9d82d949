import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.server.registration.Registration;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** What the server says in JSON. */
class Answers {

	static final ObjectMapper JSON = new ObjectMapper();

	private Answers() {
	}

	static ObjectNode of(Registration registration) {
		ObjectNode said = JSON.createObjectNode();
		said.put("endpoint", registration.getEndpoint());
		said.put("registrationId", registration.getId());
		said.put("address", registration.getAddress().getHostAddress() + ":" + registration.getPort());
		said.put("lifetime", registration.getLifeTimeInSec());
		said.put("queuemode", registration.usesQueueMode());
		said.put("secure", "coaps".equals(registration.getEndpointUri().getScheme()));
		return said;
	}

	static ObjectNode of(LwM2mNode node) {
		ObjectNode said = JSON.createObjectNode();
		said.put("value", node instanceof LwM2mSingleResource one ? String.valueOf(one.getValue()) : node.toString());
		return said;
	}

	static ObjectNode of(LwM2mResponse response) {
		ObjectNode said = JSON.createObjectNode();
		said.put("status", response.getCode().toString());
		said.put("success", response.isSuccess());
		if (response instanceof ReadResponse read && read.isSuccess()) {
			said.set("content", of(read.getContent()));
		}
		return said;
	}
}
