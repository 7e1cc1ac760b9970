namespace Isthmus.Lab.Machine.Network;

/// <summary>
/// The Unix socket on which a lab's supervisor connects API servers with servers on the machine's loopback. A client sends one line,
/// the address and the port. The answer is one line: <see cref="Connected"/>, or the name of a <see
/// cref="System.Net.Sockets.SocketError"/>. Then follow the bytes of the connection.
/// </summary>
public static class MachineSocket
{
    /// <summary>The name of its file in the lab's directory.</summary>
    public const string FileName = "machine.sock";

    public const string Connected = "Connected";

    /// <summary>The longest line.</summary>
    public const int LongestLine = 100;
}
