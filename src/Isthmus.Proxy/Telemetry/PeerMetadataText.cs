using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace Isthmus.Proxy.Telemetry;

/// <summary>The value of <c>x-envoy-peer-metadata</c>: base64 of a protobuf Struct with parts of a node's metadata (Istio's
/// metadata exchange).</summary>
internal static class PeerMetadataText
{
    private const int MaxLength = 16 * 1024;

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

    /// <summary>What a peer claims about itself; null when that is missing or malformed. It is not verified.</summary>
    public static MeshMetrics.Party? Read(string text)
    {
        if (text.Length is 0 or > MaxLength) return null;
        Struct metadata;
        try
        {
            metadata = Struct.Parser.ParseFrom(Convert.FromBase64String(text));
        }
        catch (Exception e) when (e is FormatException or InvalidProtocolBufferException)
        {
            return null;
        }
        string Text(Struct from, string name) => from.Fields.TryGetValue(name, out var value) ? value.StringValue : "";
        var labels = metadata.Fields.TryGetValue("LABELS", out var found) && found.StructValue is { } inner ? inner : new Struct();
        return new(
            Text(metadata, "WORKLOAD_NAME"), Text(metadata, "NAMESPACE"), "", Text(labels, "app"), Text(labels, "version"),
            Text(labels, "service.istio.io/canonical-name"), Text(labels, "service.istio.io/canonical-revision"), Text(metadata, "CLUSTER_ID"));
    }
}
