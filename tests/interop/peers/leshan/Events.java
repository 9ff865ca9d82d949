import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.queue.PresenceListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;

/** What happens at the server, as server-sent events: the names are those of Leshan's demo. */
class Events implements RegistrationListener, ObservationListener, PresenceListener {

	private final List<String> past = new ArrayList<>();
	private final Set<BlockingQueue<String>> streams = new HashSet<>();

	Events(LeshanServer leshan) {
		leshan.getRegistrationService().addListener(this);
		leshan.getObservationService().addListener(this);
		leshan.getPresenceService().addListener(this);
	}

	private synchronized void tell(String event, ObjectNode data) {
		String text = "event: " + event + "\ndata: " + data + "\n\n";
		past.add(text);
		streams.forEach(stream -> stream.add(text));
	}

	private synchronized BlockingQueue<String> open() {
		BlockingQueue<String> stream = new LinkedBlockingQueue<>(past);
		streams.add(stream);
		return stream;
	}

	private synchronized void close(BlockingQueue<String> stream) {
		streams.remove(stream);
	}

	/* All that has happened and happens, until whoever listens has gone. */
	void serve(HttpExchange exchange) throws IOException, InterruptedException {
		exchange.getResponseHeaders().add("Content-Type", "text/event-stream");
		exchange.sendResponseHeaders(200, 0);
		BlockingQueue<String> stream = open();
		try (OutputStream out = exchange.getResponseBody()) {
			for (String text = ": listening\n\n";; text = stream.take()) {
				out.write(text.getBytes(StandardCharsets.UTF_8));
				out.flush();
			}
		} finally {
			close(stream);
		}
	}

	@Override
	public void registered(Registration registration, Registration previous, Collection<Observation> observations) {
		tell("REGISTRATION", Answers.of(registration));
	}

	@Override
	public void updated(RegistrationUpdate update, Registration updated, Registration previous) {
		tell("UPDATED", Answers.of(updated));
	}

	@Override
	public void unregistered(Registration gone, Collection<Observation> observations, boolean expired, Registration next) {
		tell("DEREGISTRATION", Answers.of(gone));
	}

	@Override
	public void onAwake(Registration registration) {
		tell("AWAKE", Answers.of(registration));
	}

	@Override
	public void onSleeping(Registration registration) {
		tell("SLEEPING", Answers.of(registration));
	}

	@Override
	public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
		if (registration != null) {
			ObjectNode said = Answers.of(registration);
			said.put("res", observation.getPath().toString());
			said.set("val", Answers.of(response.getContent()));
			tell("NOTIFICATION", said);
		}
	}

	@Override
	public void onResponse(CompositeObservation observation, Registration registration, ObserveCompositeResponse response) {
	}

	@Override
	public void onError(Observation observation, Registration registration, Exception error) {
		error.printStackTrace();
	}

	@Override
	public void newObservation(Observation observation, Registration registration) {
	}

	@Override
	public void cancelled(Observation observation) {
	}
}
