using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>A Pod as snapshots have it. Whether it is ready is not kept: the EndpointSlices say it.</summary>
internal sealed record StoredPod
{
    public required ObjectRef Source { get; init; }
    public required ValueMap<string> Labels { get; init; }
    public required string ServiceAccount { get; init; }
    public required string Node { get; init; }
    public required ValueList<Address> Addresses { get; init; }

    /// <summary>The Deployment, StatefulSet … it belongs to, else its own name.</summary>
    public required string Workload { get; init; }

    public required string Hostname { get; init; }
    public required string Subdomain { get; init; }
    public required ValueMap<int> Ports { get; init; }
    public ProxyKind? Runs { get; init; }

    /// <summary>Its containers have ended, and do not start again.</summary>
    public bool HasEnded { get; init; }
}

/// <summary>Pods are workloads in the mesh, and <see cref="StoredPod"/>s in snapshots.</summary>
internal sealed class PodConverter : JsonConverter<Workload>
{
    public override Workload Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var pod = JsonSerializer.Deserialize(ref reader, TypeIn(options)) ?? throw new JsonException("a Pod is null");
        return new(pod.Source, pod.Workload, pod.Labels, pod.ServiceAccount, pod.Addresses, pod.Ports)
        {
            Node = pod.Node, Runs = pod.Runs, Hostname = pod.Hostname, Subdomain = pod.Subdomain, HasEnded = pod.HasEnded,
        };
    }

    public override void Write(Utf8JsonWriter writer, Workload value, JsonSerializerOptions options)
    {
        var pod = new StoredPod
        {
            Source = value.Source, Labels = value.Labels, ServiceAccount = value.ServiceAccount, Node = value.Node, Addresses = value.Addresses,
            Workload = value.Name, Hostname = value.Hostname, Subdomain = value.Subdomain, Ports = value.Ports, Runs = value.Runs,
            HasEnded = value.HasEnded,
        };
        JsonSerializer.Serialize(writer, pod, TypeIn(options));
    }

    private static JsonTypeInfo<StoredPod> TypeIn(JsonSerializerOptions options) => (JsonTypeInfo<StoredPod>)options.GetTypeInfo(typeof(StoredPod));
}
