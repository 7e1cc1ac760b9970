using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>The base of built-in kinds that have rules of their own.</summary>
internal abstract class ObjectStrategy : KindStrategy
{
    public override void PrepareForCreate(JsonObject o, WriteContext context)
    {
        if (InitialStatus(o) is { } status) o["status"] = status;
    }

    /// <summary>The status of a new object; null for kinds that start without one.</summary>
    protected virtual JsonObject? InitialStatus(JsonObject o) => null;

    protected static void Restore(JsonObject old, JsonObject next, string key)
    {
        if (old.TryGetPropertyValue(key, out var held)) next[key] = held?.DeepClone();
        else next.Remove(key);
    }
}
