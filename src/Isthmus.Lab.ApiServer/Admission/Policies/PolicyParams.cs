using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;

namespace Isthmus.Lab.ApiServer.Admission.Policies;

/// <summary>Finds the objects that set a policy.</summary>
internal sealed class PolicyParams(IObjectStore store, KindRegistry kinds)
{
    /// <param name="parameters">The policy applies once for each; a policy without parameters applies once, without one.</param>
    /// <returns>False: the request cannot be judged.</returns>
    public bool TryFind(AdmissionPolicy policy, PolicyBinding binding, AdmissionRequest request, out IReadOnlyList<JsonObject?> parameters, out string obstacle)
    {
        (parameters, obstacle) = ([null], "");
        if (policy.Params is not { } wanted || binding.Params is not { } reference) return true;
        var kind = kinds.All.FirstOrDefault(kind => kind.Group == wanted.Group && kind.Version == wanted.Version && kind.Kind == wanted.Kind);
        if (kind is null)
        {
            obstacle =
                $"failed to find resource referenced by paramKind: '{(wanted.Group.Length > 0 ? $"{wanted.Group}/" : "")}{wanted.Version}, Kind={wanted.Kind}'";
            return false;
        }
        var ns = !kind.Namespaced ? "" : reference.Namespace.Length > 0 ? reference.Namespace : request.Namespace;
        if (kind.Namespaced && ns.Length == 0)
        {
            obstacle = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
            return false;
        }
        var found = reference.Name.Length > 0
            ? store.Find(kind.GroupResource, ns, reference.Name) is { } one ? [one] : []
            : store.List(kind.GroupResource, ns).Items.Where(item => reference.Selector?.Matches(item.Labels) == true).ToList();
        parameters = [.. found.Select(item => AdmissionReviewForm.As(kind, item.Parse()))];
        if (parameters.Count > 0 || reference.AllowsNone) return true;
        obstacle = "no params found for policy binding with `Deny` parameterNotFoundAction";
        return false;
    }
}
