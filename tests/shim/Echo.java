import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.Selector;
import java.nio.channels.SelectionKey;
import java.nio.charset.StandardCharsets;

/** Echo servers that know nothing of tunnels: Echo.java socket|channel IP PORT. Each answer says from where its request came. */
class Echo {
	static byte[] answer(InetSocketAddress source, byte[] data, int length) {
		byte[] head = (source.getAddress().getHostAddress() + " " + source.getPort() + " ").getBytes(StandardCharsets.US_ASCII);
		return ByteBuffer.allocate(head.length + length).put(head).put(data, 0, length).array();
	}

	static void socket(InetSocketAddress at) throws Exception {
		DatagramSocket socket = new DatagramSocket(at);
		DatagramPacket request = new DatagramPacket(new byte[2048], 2048);
		System.out.println("ready");
		while (true) {
			request.setLength(2048);
			socket.receive(request);
			byte[] octets = answer((InetSocketAddress) request.getSocketAddress(), request.getData(), request.getLength());
			socket.send(new DatagramPacket(octets, octets.length, request.getSocketAddress()));
		}
	}

	static void channel(InetSocketAddress at) throws Exception {
		DatagramChannel channel = DatagramChannel.open().bind(at);
		Selector selector = Selector.open();
		channel.configureBlocking(false).register(selector, SelectionKey.OP_READ);
		ByteBuffer request = ByteBuffer.allocateDirect(2048);
		System.out.println("ready");
		while (selector.select() >= 0) {
			selector.selectedKeys().clear();
			InetSocketAddress source;
			while ((source = (InetSocketAddress) channel.receive(request.clear())) != null) {
				byte[] octets = new byte[request.flip().remaining()];
				request.get(octets);
				channel.send(ByteBuffer.wrap(answer(source, octets, octets.length)), source);
			}
		}
	}

	public static void main(String[] args) throws Exception {
		InetSocketAddress at = new InetSocketAddress(InetAddress.getByName(args[1]), Integer.parseInt(args[2]));
		if (args[0].equals("socket"))
			socket(at);
		else
			channel(at);
	}
}
