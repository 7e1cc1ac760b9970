using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>What every controller works with: the copy of the cluster, the client that changes it, clock and
/// randomness.</summary>
internal sealed class Runtime(KubeClient client, ClusterView view, EventRecorder events, ControllerSettings settings)
{
    internal KubeClient Client => client;

    internal ClusterView View => view;

    internal ControllerSettings Settings => settings;

    internal TimeProvider Time => settings.Time;

    internal DateTimeOffset Now => settings.Time.GetUtcNow();

    internal void Log(string line) => settings.Log(line);

    internal void Record(string component, Note note) => events.Add(component, note);

    /// <summary>Executes one write. Returns the resulting object, or null when the object is gone.</summary>
    internal async Task<JsonObject?> DoAsync(Write write, CancellationToken stop)
    {
        switch (write.Verb)
        {
            case WriteVerb.Create:
                return await client.CreateAsync(write.Kind, write.Namespace, (JsonObject)Tree.WithoutNulls(write.Body)!, stop);
            case WriteVerb.Patch:
                try
                {
                    return await client.PatchAsync(write.Kind, write.Namespace, write.Name, write.Body!, write.PatchType, stop, write.Subresource);
                }
                catch (KubeException gone) when (gone.IsNotFound)
                {
                    // Deleted since it was read: nothing is left to change, and the watch reports the deletion.
                    return null;
                }
            default:
                try
                {
                    await client.DeleteAsync(write.Kind, write.Namespace, write.Name, stop, propagation: write.Propagation, uid: write.Uid);
                }
                catch (KubeException another) when (another.Code == 409)
                {
                    // An object with this name but another uid: ours is already gone.
                }
                return null;
        }
    }

    /// <summary>Executes a plan in order, then records its Events.</summary>
    internal async Task DoAsync(string component, Plan plan, CancellationToken stop)
    {
        foreach (var write in plan.Writes) await DoAsync(write, stop);
        foreach (var note in plan.Notes) Record(component, note);
    }
}
