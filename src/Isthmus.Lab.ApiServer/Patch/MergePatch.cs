using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>JSON merge patch (RFC 7386): objects are merged, null removes, everything else replaces.</summary>
public static class MergePatch
{
    /// <summary>Changes <paramref name="target"/> and returns it.</summary>
    public static JsonObject Apply(JsonObject patch, JsonObject target)
    {
        foreach (var (name, value) in patch)
        {
            if (value is null) target.Remove(name);
            else if (value is JsonObject inner) target[name] = Apply(inner, target[name] is JsonObject existing ? Detached(target, name, existing) : []);
            else target[name] = value.DeepClone();
        }
        return target;
    }

    private static JsonObject Detached(JsonObject parent, string name, JsonObject child)
    {
        // A node has one parent: it is taken out before it is set again, in its old place.
        var index = parent.IndexOf(name);
        parent.RemoveAt(index);
        parent.Insert(index, name, null);
        return child;
    }
}
