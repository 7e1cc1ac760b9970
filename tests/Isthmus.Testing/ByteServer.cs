using System.Net;
using System.Net.Sockets;
using System.Text;
using Xunit;

namespace Isthmus.Testing;

/// <summary>A server that knows no protocol: a test says what each connection hears, and reads all that came. Each byte is one character.</summary>
public sealed class ByteServer : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Conversation> _all = [];

    /// <param name="serve">The server's part of a connection, which ends with it.</param>
    public ByteServer(Func<Conversation, Task> serve)
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _ = AcceptAsync(serve);
    }

    /// <summary>Its port on the loopback interface.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>What came on each connection so far.</summary>
    public IReadOnlyList<string> Heard
    {
        get
        {
            lock (_all) return [.. _all.Select(one => one.Heard)];
        }
    }

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync(Func<Conversation, Task> serve)
    {
        try
        {
            while (true)
            {
                var conversation = new Conversation(await _listener.AcceptAsync());
                lock (_all) _all.Add(conversation);
                _ = ServeAsync(conversation, serve);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static async Task ServeAsync(Conversation conversation, Func<Conversation, Task> serve)
    {
        using (conversation)
        {
            try
            {
                await serve(conversation);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // The proxy has closed the connection, or the test is over.
            }
        }
    }

    /// <summary>One connection.</summary>
    public sealed class Conversation(Socket socket) : IDisposable
    {
        private readonly StringBuilder _heard = new(); // locked when used
        private int _done;

        /// <summary>What came so far.</summary>
        public string Heard
        {
            get
            {
                lock (_heard) return _heard.ToString();
            }
        }

        /// <summary>Waits until these bytes have come after those that it waited for before; false when the proxy closes instead.</summary>
        public async Task<bool> HearAsync(string text)
        {
            while (true)
            {
                var at = Heard.IndexOf(text, _done, StringComparison.Ordinal);
                if (at >= 0)
                {
                    _done = at + text.Length;
                    return true;
                }
                if (!await ReadAsync()) return false;
            }
        }

        /// <summary>Reads until the proxy closes.</summary>
        public async Task HearAllAsync()
        {
            while (await ReadAsync())
            {
            }
        }

        /// <summary>Whether the proxy has reset the connection.</summary>
        public bool IsReset => socket.Poll(0, SelectMode.SelectError);

        /// <summary>Sends bytes.</summary>
        public async Task SayAsync(string text) => await socket.SendAsync(Encoding.Latin1.GetBytes(text), TestContext.Current.CancellationToken);

        public void Dispose() => socket.Dispose();

        private async Task<bool> ReadAsync()
        {
            var buffer = new byte[16 * 1024];
            var count = await socket.ReceiveAsync(buffer, TestContext.Current.CancellationToken);
            lock (_heard) _heard.Append(Encoding.Latin1.GetString(buffer, 0, count));
            return count > 0;
        }
    }
}
