using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Supervisor;

/// <summary>A command at the supervisor's socket: one line of JSON, with which a listener may be passed.</summary>
internal sealed class ControlRequest : IDisposable
{
    private const int LongestRequest = 1 << 20;

    private Socket? _listener;

    private ControlRequest(JsonNode body, Socket? listener)
    {
        Body = body;
        _listener = listener;
    }

    internal JsonNode Body { get; }

    internal string Operation => (string?)Body["operation"] ?? "";

    internal string Cluster => (string?)Body["name"] ?? "";

    /// <summary>The passed listener. The caller owns it from now on.</summary>
    /// <exception cref="ProblemException">None was passed, or it does not listen on 127.0.0.1.</exception>
    internal Socket TakeListener()
    {
        if (_listener?.LocalEndPoint is not IPEndPoint { Address: var address } || !address.Equals(IPAddress.Loopback))
        {
            throw new ProblemException("lab", "the command passed no listener on 127.0.0.1",
                "it may be of another version: run isthmus lab down, then isthmus lab up");
        }
        var listener = _listener;
        _listener = null;
        return listener;
    }

    /// <summary>Null if the client closes without a request.</summary>
    internal static async Task<ControlRequest?> ReadAsync(Socket client, CancellationToken stop)
    {
        var buffer = new byte[4096];
        var length = 0;
        Socket? listener = null;
        try
        {
            while (true)
            {
                // Waits for data without reading it: an ordinary read would lose the descriptor that comes with the bytes.
                await client.ReceiveAsync(Memory<byte>.Empty, stop);
                // The wait may end although nothing has arrived.
                if (DescriptorMessage.Receive(client, buffer.AsSpan(length), out var passed) is not { } read) continue;
                if (passed is not null)
                {
                    listener?.Dispose();
                    listener = new Socket(passed);
                }
                if (read == 0) return length == 0 ? null : throw new IOException("the client closed the connection before it sent a request");
                var end = buffer.AsSpan(length, read).IndexOf((byte)'\n');
                if (end >= 0)
                {
                    var request = new ControlRequest(StrictJson.Parse(buffer.AsSpan(0, length + end)) ?? throw new JsonException("the request is null"),
                        listener);
                    listener = null;
                    return request;
                }
                length += read;
                if (length > LongestRequest) throw new InvalidDataException($"the request is longer than {LongestRequest} bytes");
                if (length == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
            }
        }
        finally
        {
            listener?.Dispose();
        }
    }

    public void Dispose() => _listener?.Dispose();
}
