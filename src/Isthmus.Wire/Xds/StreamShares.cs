using System.Globalization;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Limits;

namespace Isthmus.Wire.Xds;

/// <summary>Keeps streams within <see cref="XdsLimits"/>. From any thread.</summary>
/// <param name="refused">Counts what was refused, by reason.</param>
internal sealed class StreamShares(XdsLimits limits, Action<string>? refused, TimeProvider time)
{
    private readonly SourceBudget _streams = new(limits.Streams, time);
    private readonly SourceBudget _bytes = new(limits.Bytes, time);

    /// <summary>What all streams hold, in bytes.</summary>
    public long Held => _bytes.Held;

    /// <summary>A stream begins; nothing but its address is known.</summary>
    /// <exception cref="GrpcException">There are too many.</exception>
    public Share Enter(string address)
    {
        var share = new Share(this);
        share.Join(address, limits.StreamsPerSource, limits.BytesPerSource);
        return share;
    }

    private GrpcException Refuse(string reason, string text)
    {
        refused?.Invoke(reason);
        return new(GrpcCode.ResourceExhausted, text);
    }

    /// <summary>What one stream holds. One task at a time, but <see cref="ArriveAsync"/>, which is the reader's.</summary>
    internal sealed class Share(StreamShares all) : IDisposable
    {
        /// <summary>Small requests are not worth the count.</summary>
        private const int Small = 8 << 10;

        private List<BudgetSource> _streams = [], _bytes = [];
        private long _kept;
        private long _arriving; // Of the reader.
        private long _waiting; // What has arrived and is not answered.

        /// <summary>More is known of who opened the stream.</summary>
        /// <exception cref="GrpcException">It has too many.</exception>
        public void Know(XdsSource source)
        {
            if (source.Account is { Length: > 0 } account) Join($"account {account}", all.Limits.StreamsPerSource, all.Limits.BytesPerSource);
            if (source.Pod is { Length: > 0 } pod) Join($"Pod {pod}", all.Limits.StreamsPerPod, all.Limits.BytesPerPod);
        }

        internal void Join(string source, long streams, long bytes)
        {
            List<BudgetSource> wider = [.. _streams, new(source, streams)];
            if (_streams.Count > 0) all._streams.Give(_streams, 1);
            if (all._streams.TryTake(wider, 1) is { } full)
            {
                _streams = [];
                throw all.Refuse("streams",
                    $"too many streams of {full}: close others, or raise "
                        + (full.StartsWith("Pod ", StringComparison.Ordinal) ? "ISTHMUS_XDS_STREAMS_PER_POD"
                            : full == source ? "ISTHMUS_XDS_STREAMS_PER_SOURCE" : "ISTHMUS_XDS_STREAMS") + " of the control plane");
            }
            (_streams, _bytes) = (wider, [.. _bytes, new(source, bytes)]);
        }

        /// <summary>A request of this length begins to arrive; it is kept out until there is room for it.</summary>
        public async ValueTask ArriveAsync(int length, CancellationToken stop)
        {
            _arriving = 0;
            if (length <= Small) return;
            if (await all._bytes.TakeAsync(_bytes, length, all.Limits.Patience, stop).ConfigureAwait(false) is { } full)
                throw Full(full, string.Create(CultureInfo.InvariantCulture, $"a request of {length} bytes"));
            _arriving = length;
            Interlocked.Add(ref _waiting, length);
        }

        /// <summary>What the request that has arrived weighs, for <see cref="Answered"/>.</summary>
        public long Arrived => _arriving;

        /// <summary>A request is not needed any more.</summary>
        public void Answered(long weight)
        {
            if (weight == 0) return;
            Interlocked.Add(ref _waiting, -weight);
            all._bytes.Give(_bytes, weight);
        }

        /// <summary>The stream keeps that many bytes from now on.</summary>
        /// <exception cref="GrpcException">It is too much.</exception>
        public void Keep(long bytes)
        {
            if (bytes == _kept) return;
            if (bytes < _kept) all._bytes.Give(_bytes, _kept - bytes);
            else if (all._bytes.TryTake(_bytes, bytes - _kept) is { } full)
                throw Full(full, string.Create(CultureInfo.InvariantCulture, $"a node and names of {bytes} bytes"));
            _kept = bytes;
        }

        /// <summary>The size of a node message that may be kept.</summary>
        /// <exception cref="GrpcException">It is too large.</exception>
        public long NodeOf(int size) => size <= all.Limits.NodeBytes ? size
            : throw all.Refuse("node",
                string.Create(CultureInfo.InvariantCulture,
                    $"the node has {size} bytes, more than {all.Limits.NodeBytes}: shorten the metadata of the proxy, or raise ISTHMUS_XDS_NODE_BYTES of the "
                        + $"control plane"));

        public void Dispose()
        {
            if (_streams.Count > 0) all._streams.Give(_streams, 1);
            if (_kept + Interlocked.Read(ref _waiting) is var held and > 0) all._bytes.Give(_bytes, held);
            (_streams, _kept, _waiting) = ([], 0, 0);
        }

        private GrpcException Full(string full, string what) =>
            all.Refuse("bytes",
                $"no room for {what}: {full} hold too much; ask for less at a time, or raise "
                    + (full.StartsWith("Pod ", StringComparison.Ordinal) ? "ISTHMUS_XDS_BYTES_PER_POD"
                        : full.Contains(' ') && _bytes.Any(source => source.Name == full) ? "ISTHMUS_XDS_BYTES_PER_SOURCE" : "ISTHMUS_XDS_BYTES")
                    + " of the control plane");
    }

    private XdsLimits Limits => limits;
}
