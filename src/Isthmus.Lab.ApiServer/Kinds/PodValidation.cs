using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Validates Pod specs, on their own and inside templates.</summary>
internal static class PodValidation
{
    /// <summary>The kernel's limit for a host name, in bytes.</summary>
    private const int MaxKernelName = 64;

    /// <param name="path">Where the spec is: <c>spec</c> or <c>spec.template.spec</c>.</param>
    public static IEnumerable<FieldError> Spec(JsonObject spec, string path)
    {
        IEnumerable<FieldError>[] checks =
        [
            Volumes(spec, $"{path}.volumes"),
            ContainerValidation.All(spec, path),
            Check.OneOf($"{path}.restartPolicy", spec["restartPolicy"], "Always", "OnFailure", "Never"),
            Check.OneOf($"{path}.dnsPolicy", spec["dnsPolicy"] ?? "ClusterFirst", "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
            Check.NonNegative($"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"]),
            Optional($"{path}.serviceAccountName", spec["serviceAccountName"], ObjectNames.SubdomainProblem),
            Optional($"{path}.nodeName", spec["nodeName"], ObjectNames.SubdomainProblem),
            Optional($"{path}.hostname", spec["hostname"], ObjectNames.LabelProblem),
            Optional($"{path}.subdomain", spec["subdomain"], ObjectNames.LabelProblem),
            HostnameOverride(spec, $"{path}.hostnameOverride"),
            HostUsers(spec, path),
            ContainerValidation.Security(spec["securityContext"], $"{path}.securityContext"),
            Tolerations(spec, $"{path}.tolerations"),
        ];
        return checks.SelectMany(errors => errors);
    }

    /// <summary>
    /// Containers that are added to a Pod while it runs (<c>kubectl debug</c>): they have names of their own, and stay as they are.
    /// </summary>
    public static IEnumerable<FieldError> Ephemeral(JsonObject old, JsonObject next)
    {
        const string path = "spec.ephemeralContainers";
        var wanted = Json.Objects(next.At("spec", "ephemeralContainers")).ToList();
        foreach (var held in Json.Objects(old.At("spec", "ephemeralContainers")))
        {
            var name = Json.Text(held["name"]);
            var kept = wanted.FirstOrDefault(one => Json.Text(one["name"]) == name);
            if (!JsonNode.DeepEquals(kept, held))
                yield return FieldError.Forbidden(path, $"existing ephemeral containers \"{name}\" may not be {(kept is null ? "removed" : "changed")}\n");
        }
        var names = Json.Objects(next.At("spec", "containers")).Concat(Json.Objects(next.At("spec", "initContainers"))).Select(one => Json.Text(one["name"]))
            .ToHashSet(StringComparer.Ordinal);
        for (var i = 0; i < wanted.Count; i++)
        {
            var at = $"{path}[{i}]";
            foreach (var error in Check.Name($"{at}.name", wanted[i]["name"], ObjectNames.LabelProblem)) yield return error;
            if (!names.Add(Json.Text(wanted[i]["name"]))) yield return FieldError.Duplicate($"{at}.name", Json.Text(wanted[i]["name"]));
            if (Json.Text(wanted[i]["image"]).Length == 0) yield return FieldError.Required($"{at}.image");
            foreach (var field in (string[])["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"])
                if (wanted[i][field] is not null) yield return FieldError.Forbidden($"{at}.{field}", "cannot be set for an Ephemeral Container");
        }
    }

    private static IEnumerable<FieldError> Optional(string field, JsonNode? node, Func<string, string?> problemOf) =>
        Json.Text(node) is { Length: > 0 } name && problemOf(name) is { } problem ? [FieldError.Invalid(field, name, problem)] : [];

    private static IEnumerable<FieldError> HostnameOverride(JsonObject spec, string field)
    {
        if (Json.TextOrNull(spec["hostnameOverride"]) is not { } name) yield break;
        if (ObjectNames.SubdomainProblem(name) is { } problem) yield return FieldError.Invalid(field, name, problem);
        if (name.Length > MaxKernelName) yield return FieldError.TooLong(field, MaxKernelName);
        if (Json.Truth(spec["hostNetwork"]) == true) yield return FieldError.Forbidden(field, "may not be set when hostNetwork is true");
        if (Json.Truth(spec["setHostnameAsFQDN"]) == true) yield return FieldError.Forbidden(field, "may not be set when setHostnameAsFQDN is true");
    }

    /// <summary>Says what a lab does not do for a Pod, once.</summary>
    public static void Warn(JsonObject spec, string path, WriteContext context)
    {
        if (Json.Truth(spec["hostUsers"]) != false) return;
        var warning = $"{path}.hostUsers: a lab gives no Pod a user namespace of its own: the users of its containers are those of the node";
        if (!context.Warnings.Contains(warning)) context.Warnings.Add(warning);
    }

    private static IEnumerable<FieldError> HostUsers(JsonObject spec, string path)
    {
        if (Json.Truth(spec["hostUsers"]) != false) yield break;
        foreach (var field in (string[])["hostNetwork", "hostPID", "hostIPC"])
            if (Json.Truth(spec[field]) == true) yield return FieldError.Forbidden($"{path}.{field}", "when `hostUsers` is false");
    }

    private static IEnumerable<FieldError> Volumes(JsonObject spec, string path)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var i = 0;
        foreach (var volume in Json.Objects(spec["volumes"]))
        {
            var at = $"{path}[{i++}]";
            foreach (var error in Check.Name($"{at}.name", volume["name"], ObjectNames.LabelProblem)) yield return error;
            if (Json.Text(volume["name"]) is { Length: > 0 } name && !names.Add(name)) yield return FieldError.Duplicate($"{at}.name", name);
            foreach (var extra in volume.Where(pair => pair.Key != "name" && pair.Value is not null).Skip(1))
                yield return FieldError.Forbidden($"{at}.{extra.Key}", "may not specify more than 1 volume type");
            foreach (var error in Source(volume, at)) yield return error;
        }
    }

    private static IEnumerable<FieldError> Source(JsonObject volume, string at)
    {
        if (volume["configMap"] is JsonObject map && Json.Text(map["name"]).Length == 0) yield return FieldError.Required($"{at}.configMap.name");
        if (volume["secret"] is JsonObject secret && Json.Text(secret["secretName"]).Length == 0) yield return FieldError.Required($"{at}.secret.secretName");
        if (volume["hostPath"] is JsonObject host)
        {
            if (Json.Text(host["path"]).Length == 0) yield return FieldError.Required($"{at}.hostPath.path");
            foreach (var error in Check.OneOf($"{at}.hostPath.type", host["type"] ?? "",
                "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")) yield return error;
        }
        if (volume["persistentVolumeClaim"] is JsonObject claim && Json.Text(claim["claimName"]).Length == 0)
            yield return FieldError.Required($"{at}.persistentVolumeClaim.claimName");
        var i = 0;
        foreach (var source in Json.Objects(volume.At("projected", "sources")))
        {
            var field = $"{at}.projected.sources[{i++}]";
            if (source["serviceAccountToken"] is not JsonObject token) continue;
            if (Json.Text(token["path"]).Length == 0) yield return FieldError.Required($"{field}.serviceAccountToken.path");
            if (Json.Whole(token["expirationSeconds"]) is < 600 and var seconds)
                yield return FieldError.Invalid($"{field}.serviceAccountToken.expirationSeconds", seconds, "may not specify a duration less than 10 minutes");
        }
    }

    private static IEnumerable<FieldError> Tolerations(JsonObject spec, string path)
    {
        var i = 0;
        foreach (var toleration in Json.Objects(spec["tolerations"]))
        {
            var at = $"{path}[{i++}]";
            var op = Json.Text(toleration["operator"]);
            if (op is not ("" or "Equal" or "Exists")) yield return FieldError.NotSupported($"{at}.operator", op, ["Equal", "Exists"]);
            if (op == "Exists" && Json.Text(toleration["value"]).Length > 0)
                yield return FieldError.Invalid($"{at}.operator", op, "value must be empty when `operator` is 'Exists'");
            var effect = Json.Text(toleration["effect"]);
            if (effect is not ("" or "NoSchedule" or "PreferNoSchedule" or "NoExecute"))
                yield return FieldError.NotSupported($"{at}.effect", effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"]);
            if (toleration["tolerationSeconds"] is not null && effect != "NoExecute")
                yield return FieldError.Invalid($"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        }
    }
}
