import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;

import org.eclipse.californium.elements.PersistentComponentProvider;
import org.eclipse.californium.elements.util.PersistentComponentUtil;
import org.eclipse.leshan.core.link.LinkParseException;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationStore;
import org.eclipse.leshan.servers.security.EditableSecurityStore;
import org.eclipse.leshan.servers.security.NonUniqueSecurityInfoException;
import org.eclipse.leshan.servers.security.SecurityInfo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * What a server hands over to its successor, in a folder: its DTLS sessions, as Californium saves them, and what else
 * it keeps in memory. That is the keys of its devices, and its registrations with their observations.
 *
 * Whoever has the sessions has their keys. Two servers must never go on with one session, so they are read once.
 */
class Saved {

	private static final long QUIET_S = 7 * 86400; /* sessions that were silent for longer are left out */

	private final PersistentComponentUtil sessions = new PersistentComponentUtil();
	private final EditableSecurityStore keys;
	private final RegistrationStore store;
	private final Path session, rest;

	Saved(Path folder, PersistentComponentProvider server, EditableSecurityStore keys, RegistrationStore store) {
		session = folder.resolve("sessions");
		rest = folder.resolve("rest.json");
		sessions.addProvider(server);
		this.keys = keys;
		this.store = store;
	}

	/* The server must have stopped. */
	void save() throws IOException {
		try (OutputStream out = Files.newOutputStream(session)) {
			sessions.saveComponents(out, QUIET_S);
		}
		ObjectNode said = Answers.JSON.createObjectNode();
		ArrayNode known = said.putArray("keys"), registered = said.putArray("registrations");
		ArrayNode observed = said.putArray("observations");
		for (SecurityInfo info : keys.getAll()) {
			known.add(Written.of(info));
		}
		for (Iterator<Registration> i = store.getAllRegistrations(); i.hasNext();) {
			Registration registration = i.next();
			registered.add(Written.of(registration));
			for (Observation observation : store.getObservations(registration.getId())) {
				observed.add(Written.of((SingleObservation) observation));
			}
		}
		Files.writeString(rest, said.toString());
	}

	/* The server must not have been started yet. Returns how many sessions there were. */
	int load() throws IOException, NonUniqueSecurityInfoException, LinkParseException {
		int count = 0;
		if (Files.exists(session)) {
			try (InputStream in = new BufferedInputStream(Files.newInputStream(session))) {
				Files.delete(session);
				count = sessions.loadComponents(in);
			}
		}
		if (Files.exists(rest)) {
			JsonNode said = Answers.JSON.readTree(Files.readString(rest));
			for (JsonNode one : said.get("keys")) {
				keys.add(Written.securityInfo(one));
			}
			for (JsonNode one : said.get("registrations")) {
				store.addRegistration(Written.registration(one));
			}
			for (JsonNode one : said.get("observations")) {
				store.addObservation(one.get("registration").asText(), Written.observation(one), false);
			}
		}
		return count;
	}
}
