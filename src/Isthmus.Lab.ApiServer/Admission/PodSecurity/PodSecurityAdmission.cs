using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.PodSecurity;

/// <summary>Refuses Pods that violate the level of their namespace, and warns of those that would violate another one, also in templates.</summary>
internal sealed class PodSecurityAdmission(IObjectStore store) : IAdmissionPlugin
{
    /// <summary>How many Pods are looked at when the level of a namespace changes.</summary>
    private const int MostPods = 3000;

    private static readonly string[] Ignored = ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];

    /// <summary>How the annotations begin that set the profiles of a Pod and of its containers.</summary>
    private static readonly string[] ProfileAnnotations = [SecurityRules.AppArmorAnnotation, "seccomp.security.alpha.kubernetes.io/pod",
        "container.seccomp.security.alpha.kubernetes.io/"];

    /// <summary>Where kinds have the template of their Pods.</summary>
    private static readonly Dictionary<GroupResource, string[]> Templates = new()
    {
        [new("", "replicationcontrollers")] = ["spec", "template"], [new("", "podtemplates")] = ["template"],
        [new("apps", "replicasets")] = ["spec", "template"], [new("apps", "deployments")] = ["spec", "template"],
        [new("apps", "statefulsets")] = ["spec", "template"], [new("apps", "daemonsets")] = ["spec", "template"],
        [new("batch", "jobs")] = ["spec", "template"], [new("batch", "cronjobs")] = ["spec", "jobTemplate", "spec", "template"],
    };

    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop) => default;

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request is not { Operation: "CREATE" or "UPDATE", Object: { } o }) return default;
        var resource = request.Kind.Storage;
        if (resource == Resources.Namespaces)
        {
            if (request.Subresource.Length == 0) ValidateNamespace(request, o);
        }
        else if (resource == Resources.Pods)
        {
            if (!Ignored.Contains(request.Subresource) && (request.OldObject is not { } old || Differs(o, old))) ValidatePod(request, o);
        }
        else if (request.Subresource.Length == 0 && Templates.TryGetValue(resource, out var path) && o.At(path) is { } template)
            Warn(request, LabelsOf(request.Namespace), new(template["metadata"], template["spec"]));
        return default;
    }

    private SecurityLabels LabelsOf(string ns) => SecurityLabels.Of(store.Find(Resources.Namespaces, "", ns)?.Parse());

    private void ValidatePod(AdmissionRequest request, JsonObject o)
    {
        var (labels, pod) = (LabelsOf(request.Namespace), new CheckedPod(o["metadata"], o["spec"]));
        if (PodStandards.Violations(labels.Enforce, pod) is { Count: > 0 } violations)
            throw ApiException.Forbidden("", "pods", request.Name, $"violates PodSecurity \"{labels.Enforce}\": {PodStandards.Details(violations)}");
        Warn(request, labels, pod);
    }

    private static void Warn(AdmissionRequest request, SecurityLabels labels, CheckedPod pod)
    {
        if (PodStandards.Violations(labels.Warn, pod) is { Count: > 0 } violations)
            request.Warnings.Add($"would violate PodSecurity \"{labels.Warn}\": {PodStandards.Details(violations)}");
    }

    /// <summary>Of an update, only images, containers that are added, and the annotations with profiles matter: nothing else of what is checked can change.
    /// </summary>
    private static bool Differs(JsonObject pod, JsonObject old)
    {
        return Profiles(pod) != Profiles(old) || Images(pod, "containers") != Images(old, "containers")
            || Images(pod, "initContainers") != Images(old, "initContainers")
            || Images(pod, "ephemeralContainers") != Images(old, "ephemeralContainers");

        static string Images(JsonObject pod, string list) =>
            string.Join('\n', Json.Objects(pod.At("spec", list)).Select(container => $"{container["name"]} {container["image"]}"));

        static string Profiles(JsonObject pod) =>
            string.Join('\n', new CheckedPod(pod["metadata"], null).Annotations.Where(item => ProfileAnnotations.Any(start =>
                item.Key.StartsWith(start, StringComparison.Ordinal))).OrderBy(item => item.Key, StringComparer.Ordinal));
    }

    private void ValidateNamespace(AdmissionRequest request, JsonObject o)
    {
        var (next, old) = (SecurityLabels.Of(o), request.OldObject is { } stored ? SecurityLabels.Of(stored) : null);
        if (next.Errors.Count > 0 && (old is null || !next.Errors.SequenceEqual(old.Errors)))
            throw ApiException.Invalid("", "Namespace", request.Name, next.Errors);
        if (old is null || next.Enforce == old.Enforce || next.Enforce.Level == SecurityLevel.Privileged) return;
        if (next.Enforce.Minor == old.Enforce.Minor && next.Enforce.Level <= old.Enforce.Level) return;
        request.Warnings.AddRange(Existing(request.Name, next.Enforce));
    }

    /// <summary>What a new level would refuse of what is there: Pods that violate the same rules are named by the first of them.</summary>
    private IEnumerable<string> Existing(string ns, SecurityPolicy enforce)
    {
        var all = store.List(Resources.Pods, ns).Items;
        if (all.Count > MostPods)
            yield return $"new PodSecurity enforce level only checked against the first {MostPods} of {all.Count} existing pods";
        var found = all.Take(MostPods).Select(stored => (stored.Name, Pod: stored.Parse()))
            .Select(item => (item.Name, Why: string.Join(", ", PodStandards.Violations(enforce, new(item.Pod["metadata"], item.Pod["spec"]))
                .Select(violation => violation.Reason)))).Where(item => item.Why.Length > 0).ToList();
        if (found.Count == 0) yield break;
        yield return $"existing pods in namespace \"{ns}\" violate the new PodSecurity enforce level \"{enforce}\"";
        foreach (var line in found.GroupBy(item => item.Why, StringComparer.Ordinal).Select(Line).Order(StringComparer.Ordinal)) yield return line;

        static string Line(IGrouping<string, (string Name, string Why)> pods)
        {
            var others = pods.Count() - 1;
            var more = others == 0 ? "" : $" (and {others} other pod{(others == 1 ? "" : "s")})";
            return $"{pods.Select(item => item.Name).Order(StringComparer.Ordinal).First()}{more}: {pods.Key}";
        }
    }
}
