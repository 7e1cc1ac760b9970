using System.Buffers;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;
using Xunit;
using static Isthmus.Rigs.Servers.XdsRig;

namespace Isthmus.Tests.Libraries.Wire.Xds;

public sealed class RepeatedNamesTests
{
    private const string E = TypeUrls.Endpoints;

    [Fact]
    public void A_request_that_repeats_its_names_takes_those_of_the_set_that_is_served()
    {
        var served = Enumerable.Range(0, 1000).Select(i => (E, $"outbound|80||app{i}.shop.svc.cluster.local", "1")).ToArray();
        var repeated = new RepeatedNames();
        var server = new SotwStream("n", null, _ => { }, repeated);
        var snapshot = Snapshot("1", served);
        server.Update(snapshot);
        var request = new DiscoveryRequest { TypeUrl = E };
        request.ResourceNames.AddRange(served.Select(resource => resource.Item2));
        request.ResponseNonce = Assert.Single(server.Receive(repeated.Parse(Bytes(request)))).Nonce;

        var bytes = Bytes(request);
        var again = repeated.Parse(bytes);
        Assert.Equal(request, again);
        Assert.All(again.ResourceNames, name => Assert.Same(snapshot.Types[E].TryGet(name, out var known) ? known.Name : null, name));
        // A reference for each name, and the rest of the request.
        Assert.InRange(Allocations.Least(() => repeated.Parse(bytes)), 0, 12_000);
        Assert.Empty(server.Receive(again));
    }

    [Fact]
    public void Requests_are_decoded_as_without_memory() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var random = new Random(seed);
        var repeated = new RepeatedNames();
        var (with, without) = (new SotwStream("n", null, _ => { }, repeated), new SotwStream("n", null, _ => { }));
        for (var step = 0; step < 20; step++)
        {
            var request = new DiscoveryRequest { TypeUrl = random.Next(2) == 0 ? E : TypeUrls.Cluster, VersionInfo = $"{step}" };
            if (random.Next(4) == 0) request.Node = new() { Id = "a" };
            if (random.Next(4) == 0) request.ErrorDetail = new() { Code = 3, Message = "no" };
            request.ResourceNames.AddRange(Enumerable.Range(0, random.Next(4))
                .Select(i => random.Next(8) switch { 0 => "*", 1 => "ä", 2 => "", 3 => "b", _ => $"{i}" }));
            var bytes = request.ToByteArray();
            // Sometimes damaged, and in segments of any size.
            if (random.Next(4) == 0 && bytes.Length > 0) bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            if (random.Next(8) == 0) bytes = bytes[..random.Next(bytes.Length + 1)];
            var (one, other) = (Try(() => repeated.Parse(Segments(bytes, random))), Try(() => DiscoveryRequest.Parser.ParseFrom(bytes)));
            Assert.Equal(other, one);
            if (one is not null && other is not null) Assert.Equal(without.Receive(other), with.Receive(one));
            if (random.Next(3) > 0) continue;
            var snapshot = Snapshot($"{step}", (E, "0", $"{step}"), (E, "b", "1"), (TypeUrls.Cluster, "1", $"{random.Next(2)}"));
            Assert.Equal(without.Update(snapshot), with.Update(snapshot));
        }
    }).MustHold(300);

    private static ReadOnlySequence<byte> Bytes(DiscoveryRequest request) => new(request.ToByteArray());

    private static DiscoveryRequest? Try(Func<DiscoveryRequest> parse)
    {
        try { return parse(); }
        catch (InvalidProtocolBufferException) { return null; }
    }

    private static ReadOnlySequence<byte> Segments(byte[] bytes, Random random)
    {
        var cut = random.Next(bytes.Length + 1);
        if (cut == 0 || cut == bytes.Length) return new(bytes);
        var first = new Segment(bytes.AsMemory(0, cut));
        var last = first.Then(bytes.AsMemory(cut));
        return new(first, 0, last, last.Memory.Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        internal Segment(ReadOnlyMemory<byte> memory) => Memory = memory;

        internal Segment Then(ReadOnlyMemory<byte> memory)
        {
            var next = new Segment(memory) { RunningIndex = RunningIndex + Memory.Length };
            Next = next;
            return next;
        }
    }
}
