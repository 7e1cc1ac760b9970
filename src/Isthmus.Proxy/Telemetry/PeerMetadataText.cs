using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Identity;
using Isthmus.Core.Names;

namespace Isthmus.Proxy.Telemetry;

/// <summary>The value of <c>x-envoy-peer-metadata</c>: base64 of a protobuf Struct with parts of a node's metadata (Istio's
/// metadata exchange).</summary>
internal static class PeerMetadataText
{
    /// <summary>More than that is not read.</summary>
    internal const int MaxLength = 16 * 1024;

    /// <summary>Names in Kubernetes are shorter, but for few; the rest is cut.</summary>
    internal const int MostOfText = 128;

    public static string Write(ProxyIdentity self)
    {
        var labels = new Struct();
        void Label(string name, string value)
        {
            if (value.Length > 0) labels.Fields[name] = Value.ForString(value);
        }
        Label("app", self.App);
        Label("version", self.Version);
        Label("service.istio.io/canonical-name", self.CanonicalName);
        Label("service.istio.io/canonical-revision", self.CanonicalRevision);
        var metadata = new Struct
        {
            Fields =
            {
                ["NAMESPACE"] = Value.ForString(self.Namespace),
                ["WORKLOAD_NAME"] = Value.ForString(self.Workload),
                ["CLUSTER_ID"] = Value.ForString(self.Cluster),
                ["SERVICE_ACCOUNT"] = Value.ForString(self.ServiceAccount),
                ["LABELS"] = Value.ForStruct(labels),
            },
        };
        return Convert.ToBase64String(metadata.ToByteArray());
    }

    /// <summary>What a peer tells of itself; null when it tells nothing, when that is malformed, and when it tells of a namespace or a service account
    /// that is not the one of its identity.</summary>
    /// <param name="identity">What its certificate proves.</param>
    public static MeshMetrics.Party? Read(string text, string identity)
    {
        if (text.Length is 0 or > MaxLength || !SpiffeId.TryParse(identity, out var proven)) return null;
        Struct metadata;
        try
        {
            metadata = Struct.Parser.ParseFrom(Convert.FromBase64String(text));
        }
        catch (Exception e) when (e is FormatException or InvalidProtocolBufferException)
        {
            return null;
        }
        string Whole(Struct from, string name) => from.Fields.TryGetValue(name, out var value) ? value.StringValue : "";
        string Text(Struct from, string name) => Cut(Whole(from, name));
        if (Whole(metadata, "NAMESPACE") != proven.Namespace
            || (Whole(metadata, "SERVICE_ACCOUNT") is { Length: > 0 } account && account != proven.ServiceAccount))
            return null;
        var labels = metadata.Fields.TryGetValue("LABELS", out var found) && found.StructValue is { } inner ? inner : new Struct();
        return new(
            Text(metadata, "WORKLOAD_NAME"), proven.Namespace, identity, Text(labels, "app"), Text(labels, "version"),
            Text(labels, "service.istio.io/canonical-name"), Text(labels, "service.istio.io/canonical-revision"), Text(metadata, "CLUSTER_ID"));
    }

    private static string Cut(string text) =>
        Visible.Text(text.Length <= MostOfText ? text : text[..(char.IsHighSurrogate(text[MostOfText - 1]) ? MostOfText - 1 : MostOfText)]);
}
