using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Isthmus.Kubernetes.Objects;

/// <summary>Source-generated readers of the typed kinds. A kind without a reader is read as <see
/// cref="JsonObject"/>.</summary>
/// <remarks>The objects have setters only for their reader: it passes init-only properties as boxed arguments of a constructor, which takes a
/// fifth of the CPU time in which a control plane with many Pods starts. Nobody else changes them.</remarks>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.AllowReadingFromString)]
[JsonSerializable(typeof(Pod))]
[JsonSerializable(typeof(MeshPod))]
[JsonSerializable(typeof(Service))]
[JsonSerializable(typeof(EndpointSlice))]
[JsonSerializable(typeof(Endpoints))]
[JsonSerializable(typeof(Ingress))]
[JsonSerializable(typeof(IngressClass))]
[JsonSerializable(typeof(Node))]
[JsonSerializable(typeof(Namespace))]
[JsonSerializable(typeof(ConfigMap))]
[JsonSerializable(typeof(Secret))]
[JsonSerializable(typeof(ServiceAccount))]
[JsonSerializable(typeof(Lease))]
[JsonSerializable(typeof(Deployment))]
[JsonSerializable(typeof(ReplicaSet))]
[JsonSerializable(typeof(StatefulSet))]
[JsonSerializable(typeof(DaemonSet))]
[JsonSerializable(typeof(ControllerRevision))]
[JsonSerializable(typeof(PersistentVolumeClaim))]
[JsonSerializable(typeof(PersistentVolume))]
[JsonSerializable(typeof(Job))]
[JsonSerializable(typeof(CronJob))]
[JsonSerializable(typeof(PodDisruptionBudget))]
[JsonSerializable(typeof(CustomResourceDefinition))]
[JsonSerializable(typeof(PartialObject))]
[JsonSerializable(typeof(PodSpec))]
[JsonSerializable(typeof(JsonObject))]
[JsonSerializable(typeof(JsonNode))]
public sealed partial class KubeJson : JsonSerializerContext
{
    /// <summary>The reader of <typeparamref name="T"/>; throws when there is none.</summary>
    public static JsonTypeInfo<T> Of<T>() =>
        (JsonTypeInfo<T>)(Default.GetTypeInfo(typeof(T))
            ?? throw new NotSupportedException($"{typeof(T).Name} has no reader: add it to {nameof(KubeJson)}."));
}
