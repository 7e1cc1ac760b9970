using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Names;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>Writes the EndpointSlices of ServiceImports, and knows those that it has written.</summary>
internal sealed class ImportSliceObjects(KubeClient client, MultiClusterSettings settings, TimeProvider time)
{
    private readonly WatchedList<EndpointSlice> _known =
        new(client, Kinds.EndpointSlice, new() { LabelSelector = $"{Labels.SliceManager}={ImportSlices.Manager}" }, time);

    private readonly Refusals<(string Name, object State)> _refused = new(time);

    /// <param name="onChange">Told when somebody changes one of them.</param>
    /// <param name="stop">Ends it.</param>
    public Task RunAsync(Action onChange, CancellationToken stop) => _known.Listen(_ => onChange()).RunAsync(stop);

    /// <returns>The first failure. Everything else was done all the same.</returns>
    public async Task<(string Trouble, NextRound Next)> WriteAsync(IReadOnlyList<BehindImport> imports, CancellationToken stop)
    {
        // Before the first list, all would be written again.
        await _known.Informer.Answered.WaitAsync(stop).ConfigureAwait(false);
        if (!_known.Synced.IsCompletedSuccessfully) return (_known.Informer.LastError?.Message ?? "", NextRound.Soon);
        var (slices, trouble) = (ImportSlices.Of(imports, _known.Items), "");
        _refused.Keep(slices.Wanted.Select(State).ToHashSet().Contains);
        async Task TryAsync(Func<Task> write)
        {
            try { await write().ConfigureAwait(false); }
            catch (Exception e) when (ApiTrouble.Is(e, stop))
            {
                if (trouble.Length == 0) trouble = e.Message;
            }
        }

        foreach (var slice in slices.Wanted.Where(slice => !_refused.Has(State(slice)))) await TryAsync(() => WriteAsync(slice, stop)).ConfigureAwait(false);
        foreach (var slice in slices.Obsolete)
            await TryAsync(() => client.DeleteAsync(Kinds.EndpointSlice, slice.Metadata.Namespace, slice.Metadata.Name, stop)).ConfigureAwait(false);
        return (trouble.Length > 0 ? trouble : _refused.Why, (trouble.Length > 0 ? NextRound.Soon : NextRound.AtChange).Or(_refused.Next));
    }

    private async Task WriteAsync(WantedSlice slice, CancellationToken stop)
    {
        var imports = MultiClusterFacts.Described(MeshApi.ServiceImport, settings).In(slice.Import.Version);
        try { await client.ApplyAsync(Kinds.EndpointSlice, slice.Json(imports), stop).ConfigureAwait(false); }
        catch (KubeException e) when (e.IsRefusal)
        {
            _refused.Add(State(slice), e.Message);
        }
    }

    private static (string Name, object State) State(WantedSlice slice) => ($"{slice.Namespace}/{slice.Name}", (slice.Import.Uid, slice.Kind, slice.Endpoints));
}
