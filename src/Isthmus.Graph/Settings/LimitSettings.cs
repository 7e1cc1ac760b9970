using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Wire.Xds;

namespace Isthmus.Graph.Settings;

/// <summary>Reads what clients may make a control plane hold from the environment.</summary>
internal static class LimitSettings
{
    public static XdsLimits Xds(Func<string, string?> environment)
    {
        var fallback = new XdsLimits();
        return new()
        {
            Streams = (int)Read(environment, "ISTHMUS_XDS_STREAMS", fallback.Streams, int.MaxValue),
            StreamsPerSource = (int)Read(environment, "ISTHMUS_XDS_STREAMS_PER_SOURCE", fallback.StreamsPerSource, int.MaxValue),
            StreamsPerPod = (int)Read(environment, "ISTHMUS_XDS_STREAMS_PER_POD", fallback.StreamsPerPod, int.MaxValue),
            Bytes = Read(environment, "ISTHMUS_XDS_BYTES", fallback.Bytes, long.MaxValue),
            BytesPerSource = Read(environment, "ISTHMUS_XDS_BYTES_PER_SOURCE", fallback.BytesPerSource, long.MaxValue),
            BytesPerPod = Read(environment, "ISTHMUS_XDS_BYTES_PER_POD", fallback.BytesPerPod, long.MaxValue),
            NodeBytes = (int)Read(environment, "ISTHMUS_XDS_NODE_BYTES", fallback.NodeBytes, int.MaxValue),
        };
    }

    /// <summary>A whole quantity as Kubernetes writes it (<c>64Mi</c>), at least 1.</summary>
    internal static long Read(Func<string, string?> environment, string name, long fallback, long most)
    {
        if (environment(name) is not { Length: > 0 } text) return fallback;
        return Quantity.TryParse(text, out var value) && value >= 1 && value <= most && decimal.IsInteger(value) ? (long)value
            : throw new ProblemException(name, $"invalid quantity '{text}'",
                string.Create(CultureInfo.InvariantCulture, $"use a whole quantity of at least 1, for example {fallback}, 2k or 64Mi"));
    }
}
