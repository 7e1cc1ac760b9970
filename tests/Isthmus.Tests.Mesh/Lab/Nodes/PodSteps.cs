using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab.Nodes;

/// <summary>The steps that tests of Pods share.</summary>
internal static class PodSteps
{
    internal static string Yaml(string name, string script, string more = "", string spec = "", string metadata = "") => $$"""
        metadata: {name: {{name}}{{metadata}}}
        spec:
          terminationGracePeriodSeconds: 2
          serviceAccountName: default
        {{spec}}
          containers:
          - name: main
            image: host.lab.internal/rootfs
            command: [sh, -c, {{JsonValue.Create(script).ToJsonString()}}]
        {{more}}
        """;

    internal static void Delete(NodeRig rig, Pod pod, int grace)
    {
        rig.Pods.Apply(new Pod
        {
            Metadata = new()
            {
                Name = pod.Metadata.Name,
                Namespace = pod.Metadata.Namespace,
                Uid = pod.Metadata.Uid,
                DeletionTimestamp = TimeProvider.System.GetUtcNow().AddSeconds(grace),
                DeletionGracePeriodSeconds = grace,
            },
            Spec = pod.Spec,
            Status = new() { Conditions = [new() { Type = "Ready", Status = "True" }] },
        });
    }

    internal static Pod With(Pod pod, JsonObject status) => new()
    {
        Metadata = pod.Metadata,
        Spec = pod.Spec,
        Status = System.Text.Json.JsonSerializer.Deserialize(new JsonObject { ["status"] = status.DeepClone() }, KubeJson.Of<Pod>())!.Status,
    };

    /// <summary>Waits for an event: they are written in the background, in any case after what they tell of.</summary>
    internal static Task EventAsync(NodeRig rig, Func<JsonObject, bool> wanted) => Eventually.TrueAsync(() => rig.Api.Events.Any(wanted));
}
