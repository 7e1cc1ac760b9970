using System.IO.Pipelines;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Xds;

/// <summary>Responses go to the socket in pieces, and the bytes of resources are not copied on the way.</summary>
public sealed class XdsPiecesTests
{
    private static readonly ByteString Large = ByteString.CopyFrom(new byte[300_000]);

    [Fact]
    public void The_pieces_of_a_response_are_the_response()
    {
        foreach (var response in (DeltaDiscoveryResponse[])[new(), Delta()])
        {
            var bytes = Joined(XdsPieces.Of(response));
            Assert.Equal(response.CalculateSize(), bytes.Length);
            Assert.Equal(response, DeltaDiscoveryResponse.Parser.ParseFrom(bytes));
        }
        foreach (var response in (DiscoveryResponse[])[new(), Sotw()])
        {
            var bytes = Joined(XdsPieces.Of(response));
            Assert.Equal(response.CalculateSize(), bytes.Length);
            Assert.Equal(response, DiscoveryResponse.Parser.ParseFrom(bytes));
        }
    }

    [Fact]
    public void The_bytes_of_a_resource_are_shared()
    {
        Assert.Contains(XdsPieces.Of(Delta()), piece => piece.Equals(Large.Memory));
        Assert.Contains(XdsPieces.Of(Sotw()), piece => piece.Equals(Large.Memory));
    }

    [Fact]
    public async Task No_more_than_a_part_of_a_message_waits_for_the_socket()
    {
        var stop = TestContext.Current.CancellationToken;
        var response = Delta();
        var pipe = new System.IO.Pipelines.Pipe(new PipeOptions(pauseWriterThreshold: 1, resumeWriterThreshold: 1, useSynchronizationContext: false));
        var writing = new GrpcWriter<DeltaDiscoveryResponse>(pipe.Writer).WriteAsync(response.CalculateSize(), XdsPieces.Of(response), stop).AsTask();

        // The reader takes nothing yet: a writer that does not wait has everything in the pipe now.
        Assert.True(pipe.Reader.TryRead(out var read));
        Assert.InRange(read.Buffer.Length, 1, GrpcFraming.LargestPart + GrpcFraming.HeaderSize);
        Assert.False(writing.IsCompleted);
        pipe.Reader.AdvanceTo(read.Buffer.Start);
        var taken = new MemoryStream();
        var copying = pipe.Reader.CopyToAsync(taken, stop);
        await writing;
        await pipe.Writer.CompleteAsync();
        await copying;
        Assert.Equal(response, DeltaDiscoveryResponse.Parser.ParseFrom(taken.ToArray().AsSpan(GrpcFraming.HeaderSize)));
    }

    private static DeltaDiscoveryResponse Delta() => new()
    {
        SystemVersionInfo = "2026", TypeUrl = TypeUrls.Endpoints, Nonce = "n-1", RemovedResources = { "gone" }, ControlPlane = new() { Identifier = "id" },
        Resources =
        {
            new Resource { Name = "größe", Version = "1", Resource_ = new Any { TypeUrl = TypeUrls.Endpoints, Value = Large } },
            new Resource { Name = "", Version = "2", Resource_ = new Any { TypeUrl = TypeUrls.Endpoints } },
            new Resource
            {
                Name = new string('x', 400), Version = "3", Resource_ = new Any { TypeUrl = TypeUrls.Endpoints, Value = ByteString.CopyFromUtf8("three") }
            },
        },
    };

    private static DiscoveryResponse Sotw() => new()
    {
        VersionInfo = "2026", TypeUrl = TypeUrls.Cluster, Nonce = "n-1", ControlPlane = new() { Identifier = "id" },
        Resources = { new Any { TypeUrl = TypeUrls.Cluster, Value = Large }, new Any { TypeUrl = TypeUrls.Cluster } },
    };

    private static byte[] Joined(IEnumerable<ReadOnlyMemory<byte>> pieces)
    {
        var all = new MemoryStream();
        foreach (var piece in pieces) all.Write(piece.Span);
        return all.ToArray();
    }
}
