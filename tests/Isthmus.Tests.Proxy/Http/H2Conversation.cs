using System.Net;
using System.Text;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.Http;

/// <summary>What a server of HTTP/2 says to a client that sends given frames.</summary>
internal static class H2Conversation
{
    internal static readonly byte[] Empty = Settings();

    /// <summary>Sends frames to a server that answers each request with 204 once it has read it.</summary>
    internal static Task<List<H2Said>> TellAsync(params byte[][] frames) => TellAsync(ReadAsync, frames);

    internal static Task<List<H2Said>> TellAsync(Func<H2DownstreamStream, Task> handle, params byte[][] frames) => RunAsync(
        async stream =>
        {
            await handle(stream);
            if (stream.IsResponseStarted) return;
            await stream.SendHeadAsync(new ResponseHead { Status = 204 });
            await stream.EndAsync(null);
        },
        client => client.Server!.StreamCount == 0,
        frames);

    internal static async Task EndsAsync(H2Error error, params byte[][] frames) =>
        Assert.Equal(error, Assert.Single(await RunAsync(HeldRequest.UntilEndAsync, Ends, frames), frame => frame.Type == H2Frame.GoAway).Error);

    internal static async Task ResetsAsync(H2Error error, params byte[][] frames)
    {
        var said = await RunAsync(HeldRequest.UntilEndAsync, Ends, frames);
        Assert.Equal((1, error), Assert.Single(said.Where(frame => frame.Type == H2Frame.Reset).Select(frame => (frame.Id, frame.Error))));
        Assert.DoesNotContain(said, frame => frame.Type == H2Frame.GoAway);
    }

    /// <summary>Sends frames to a server; the client leaves once it has seen enough.</summary>
    internal static async Task<List<H2Said>> RunAsync(Func<H2DownstreamStream, Task> handle, Func<Client, bool> hasEnough, byte[][] frames)
    {
        var client = new Client([.. frames.SelectMany(frame => frame)], hasEnough);
        client.Server = new H2Server(client, async stream =>
        {
            try
            {
                await handle(stream);
            }
            catch (TransportException)
            {
                // The stream or its connection ended.
            }
        });
        using var reader = new ByteReader(client);
        await client.Server.RunAsync(reader).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        return client.Said;
    }

    internal static bool Ends(Client client) => true;

    internal static async Task<byte[]> ReadAsync(H2DownstreamStream stream)
    {
        var all = new List<byte>();
        while (await stream.ReadBodyAsync() is { IsEmpty: false } piece) all.AddRange(piece.Span);
        return [.. all];
    }

    internal static string Answer(IEnumerable<H2Said> said, int id)
    {
        var head = Assert.Single(said, frame => frame.Type == H2Frame.Headers && frame.Id == id);
        var status = "";
        new HpackDecoder(4096, 65536).Decode(head.Payload,
            (name, value) => status = name.SequenceEqual(":status"u8) ? Encoding.ASCII.GetString(value) : status);
        return status;
    }

    /// <summary>Sends everything at once, and remembers what it is told.</summary>
    internal sealed class Client(byte[] input, Func<Client, bool> hasEnough) : Transport
    {
        private readonly List<byte> _told = [];   // locked when used
        private int _at;

        internal H2Server? Server { get; set; }

        internal List<H2Said> Said
        {
            get
            {
                lock (_told) return Parse([.. _told]);
            }
        }

        public override EndPoint? Local => null;

        public override EndPoint? Remote => null;

        public override bool IsQuiet => false;

        public override async ValueTask<int> ReadAsync(Memory<byte> into)
        {
            while (_at == input.Length && !hasEnough(this)) await Task.Delay(1, TestContext.Current.CancellationToken);
            var count = Math.Min(into.Length, input.Length - _at);
            input.AsMemory(_at, count).CopyTo(into);
            _at += count;
            return count;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
        {
            lock (_told) _told.AddRange(bytes.Span);
            return ValueTask.CompletedTask;
        }

        public override ValueTask CloseWriteAsync() => ValueTask.CompletedTask;

        public override void Abort(bool reset = false)
        {
        }
    }
}
