using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.Limits;

/// <summary>LimitRanges as LimitRanger of kube-apiserver applies them: to Pods when they are created, and to claims when their size is written.</summary>
internal sealed class LimitRangeAdmission(IObjectStore store) : IAdmissionPlugin
{
    private const string Annotation = "kubernetes.io/limit-ranger";

    private static readonly GroupResource Ranges = new("", "limitranges"), Claims = new("", "persistentvolumeclaims");

    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request is not { Operation: "CREATE", Subresource: "", Namespace.Length: > 0, Object: { } pod }
            || request.Kind.Storage != Resources.Pods) return default;
        foreach (var range in In(request.Namespace))
            if (range.SetDefaults(pod) is { Length: > 0 } set)
                pod.Ensure("metadata").Ensure("annotations")[Annotation] = $"LimitRanger plugin set: {set}";
        return default;
    }

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request is not { Operation: "CREATE" or "UPDATE", Subresource: "", Namespace.Length: > 0, Object: { } o }) return default;
        var resource = request.Kind.Storage;
        // The containers of a Pod stay as they were admitted.
        if (resource != Claims && (resource != Resources.Pods || request.Operation == "UPDATE")) return default;
        foreach (var range in In(request.Namespace))
        {
            var faults = range.Faults(resource, o).Distinct().ToList();
            if (faults.Count > 0)
                throw ApiException.Forbidden(request.Kind.Group, request.Kind.Plural, request.Name,
                    faults.Count == 1 ? faults[0] : $"[{string.Join(", ", faults)}]");
        }
        return default;
    }

    private IEnumerable<LimitRange> In(string ns) => store.List(Ranges, ns).Items.Select(stored => new LimitRange(stored.Parse()));
}
