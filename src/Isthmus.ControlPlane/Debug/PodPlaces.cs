using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Debug;

/// <summary>The clusters and namespaces of the Pods that selectors of Gateways pick, found in one pass over the Pods, however many selectors there
/// are.</summary>
internal sealed class PodPlaces
{
    private readonly Dictionary<ValueMap<string>, HashSet<(string Cluster, string Namespace)>> _places = [];

    public PodPlaces(IEnumerable<ValueMap<string>> selectors, IEnumerable<Workload> pods)
    {
        foreach (var selector in selectors) _places.TryAdd(selector, []);
        // Most selectors are for the same few labels.
        var byLabel = _places.Where(pair => pair.Key.Count > 0).GroupBy(pair => pair.Key.First().Key, StringComparer.Ordinal)
            .Select(group => (Label: group.Key, Values: group.ToLookup(pair => pair.Key.First().Value, StringComparer.Ordinal))).ToList();
        var ofAll = _places.GetValueOrDefault(default);
        if (_places.Count == 0) return;
        foreach (var pod in pods)
        {
            // A sidecar is not a gateway, whatever its labels say.
            if (pod.Runs == ProxyKind.Sidecar) continue;
            var place = (pod.Source.Cluster, pod.Source.Namespace);
            if (pod.Runs == ProxyKind.Router) ofAll?.Add(place);
            foreach (var (label, values) in byLabel)
            {
                if (!pod.Labels.TryGetValue(label, out var value)) continue;
                foreach (var (selector, places) in values[value])
                    if (Selectors.Matches(selector, pod.Labels)) places.Add(place);
            }
        }
    }

    /// <param name="gateway">One whose selector was given.</param>
    public IEnumerable<(string Cluster, string Namespace)> Of(Gateway gateway) =>
        _places[gateway.Selector].Where(place => gateway.PodNamespace.Length == 0 || place.Namespace == gateway.PodNamespace);
}
