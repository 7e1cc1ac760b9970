using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;

namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>One write that waits for the writer: create (nothing expected), update or delete.</summary>
internal sealed class PendingWrite(GroupResource resource, StoredObject? expected, JsonObject? next, bool delete)
{
    internal GroupResource Resource => resource;

    internal TaskCompletionSource<StoredObject?> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Null when the object is not as expected.</summary>
    internal ObjectChange? Apply(ResourceObjects objects, long revision)
    {
        if (expected is null)
        {
            var created = StoredJson.Write(next!, revision);
            return objects.GetValueOrDefault(created.Key) is null ? new(ChangeType.Added, created, null) : null;
        }
        var current = objects.GetValueOrDefault(expected.Key);
        if (current is null || current.Revision != expected.Revision) return null;
        return delete
            ? new(ChangeType.Deleted, StoredJson.Write(next ?? current.Parse(), revision), current)
            : new(ChangeType.Modified, StoredJson.Write(next!, revision), current);
    }
}
