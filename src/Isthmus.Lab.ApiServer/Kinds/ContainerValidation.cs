using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Validates the containers of a Pod spec.</summary>
internal static class ContainerValidation
{
    private static readonly string[] Protocols = ["SCTP", "TCP", "UDP"];
    private static readonly string[] ProbeActions = ["exec", "httpGet", "tcpSocket", "grpc"];
    private static readonly string[] HookActions = ["exec", "httpGet", "tcpSocket", "sleep"];

    public static IEnumerable<FieldError> All(JsonObject spec, string path)
    {
        var volumes = Json.Objects(spec["volumes"]).Select(volume => Json.Text(volume["name"])).ToHashSet(StringComparer.Ordinal);
        var names = new HashSet<string>(StringComparer.Ordinal);
        var list = Json.Objects(spec["containers"]).ToList();
        if (list.Count == 0) yield return FieldError.Required($"{path}.containers");
        foreach (var error in Many(list, $"{path}.containers", volumes, names, init: false)) yield return error;
        foreach (var error in Many([.. Json.Objects(spec["initContainers"])], $"{path}.initContainers", volumes, names, init: true))
            yield return error;
    }

    private static IEnumerable<FieldError> Many(
        IReadOnlyList<JsonObject> containers, string path, HashSet<string> volumes, HashSet<string> names, bool init)
    {
        for (var i = 0; i < containers.Count; i++)
        {
            var (container, at) = (containers[i], $"{path}[{i}]");
            foreach (var error in One(container, at, volumes, init)) yield return error;
            var name = Json.Text(container["name"]);
            if (name.Length > 0 && !names.Add(name)) yield return FieldError.Duplicate($"{at}.name", name);
        }
    }

    private static IEnumerable<FieldError> One(JsonObject container, string at, HashSet<string> volumes, bool init)
    {
        IEnumerable<FieldError>[] checks =
        [
            Check.Name($"{at}.name", container["name"], ObjectNames.LabelProblem),
            Image(container, at),
            Restart(container, at, init),
            Ports(container, at),
            Env(container, at),
            Mounts(container, at, volumes),
            Probes(container, at, init),
            Hooks(container, at, init),
            Resources(container, at),
            Check.OneOf($"{at}.imagePullPolicy", container["imagePullPolicy"] ?? "Always", "Always", "IfNotPresent", "Never"),
            Check.OneOf($"{at}.terminationMessagePolicy", container["terminationMessagePolicy"] ?? "File", "FallbackToLogsOnError", "File"),
            Security(container["securityContext"], $"{at}.securityContext"),
        ];
        return checks.SelectMany(errors => errors);
    }

    private static IEnumerable<FieldError> Image(JsonObject container, string at)
    {
        var image = Json.Text(container["image"]);
        if (image.Length == 0) yield return FieldError.Required($"{at}.image");
        else if (image.Trim() != image) yield return FieldError.Invalid($"{at}.image", image, "must not have leading or trailing whitespace");
    }

    private static IEnumerable<FieldError> Restart(JsonObject container, string at, bool init)
    {
        if (container["restartPolicy"] is not { } policy) yield break;
        if (!init) yield return FieldError.Forbidden($"{at}.restartPolicy", "may not be set for non-init containers");
        else if (Json.Text(policy) != "Always") yield return FieldError.NotSupported($"{at}.restartPolicy", Json.Text(policy), ["Always"]);
    }

    private static IEnumerable<FieldError> Ports(JsonObject container, string at)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var i = 0;
        foreach (var port in Json.Objects(container["ports"]))
        {
            var field = $"{at}.ports[{i++}]";
            var name = Json.Text(port["name"]);
            if (name.Length > 0 && Check.PortNameProblem(name) is { } problem) yield return FieldError.Invalid($"{field}.name", name, problem);
            else if (name.Length > 0 && !names.Add(name)) yield return FieldError.Duplicate($"{field}.name", name);
            if ((Json.Whole(port["containerPort"]) ?? 0) == 0) yield return FieldError.Required($"{field}.containerPort");
            else foreach (var error in Check.Port($"{field}.containerPort", port["containerPort"])) yield return error;
            if (Json.Whole(port["hostPort"]) is not (null or 0))
                foreach (var error in Check.Port($"{field}.hostPort", port["hostPort"])) yield return error;
            if (Json.Text(port["protocol"]).Length == 0) yield return FieldError.Required($"{field}.protocol");
            else foreach (var error in Check.OneOf($"{field}.protocol", port["protocol"], Protocols)) yield return error;
        }
    }

    private static IEnumerable<FieldError> Env(JsonObject container, string at)
    {
        var i = 0;
        foreach (var variable in Json.Objects(container["env"]))
        {
            var field = $"{at}.env[{i++}]";
            foreach (var error in Check.Name($"{field}.name", variable["name"], Check.EnvNameProblem)) yield return error;
            if (variable["valueFrom"] is not JsonObject from) continue;
            var sources = from.Count(pair => pair.Value is not null);
            if (sources == 0)
                yield return FieldError.Invalid($"{field}.valueFrom", "",
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
            if (sources > 0 && Json.Text(variable["value"]).Length > 0)
                yield return FieldError.Invalid($"{field}.valueFrom", "", "may not be specified when `value` is not empty");
            if (sources > 1) yield return FieldError.Invalid($"{field}.valueFrom", "", "may not have more than one field specified at a time");
            foreach (var kind in (string[])["configMapKeyRef", "secretKeyRef"])
                if (from[kind] is JsonObject reference)
                    foreach (var error in Check.Name($"{field}.valueFrom.{kind}.key", reference["key"], Check.ConfigKeyProblem)) yield return error;
            if (from["fieldRef"] is JsonObject fieldRef)
                foreach (var error in Check.Required($"{field}.valueFrom.fieldRef.fieldPath", fieldRef["fieldPath"])) yield return error;
        }
    }

    private static IEnumerable<FieldError> Mounts(JsonObject container, string at, HashSet<string> volumes)
    {
        var paths = new HashSet<string>(StringComparer.Ordinal);
        var i = 0;
        foreach (var mount in Json.Objects(container["volumeMounts"]))
        {
            var field = $"{at}.volumeMounts[{i++}]";
            var (name, path) = (Json.Text(mount["name"]), Json.Text(mount["mountPath"]));
            if (name.Length == 0) yield return FieldError.Required($"{field}.name");
            else if (!volumes.Contains(name)) yield return FieldError.NotFound($"{field}.name", name);
            if (path.Length == 0) yield return FieldError.Required($"{field}.mountPath");
            else if (!paths.Add(path)) yield return FieldError.Invalid($"{field}.mountPath", path, "must be unique");
            var subPath = Json.Text(mount["subPath"]);
            if (subPath.StartsWith('/')) yield return FieldError.Invalid($"{field}.subPath", subPath, "must be a relative path");
            if (subPath.Split('/').Contains("..")) yield return FieldError.Invalid($"{field}.subPath", subPath, "must not contain '..'");
        }
    }

    private static IEnumerable<FieldError> Probes(JsonObject container, string at, bool init)
    {
        foreach (var kind in (string[])["livenessProbe", "readinessProbe", "startupProbe"])
        {
            if (container[kind] is not JsonObject probe) continue;
            var field = $"{at}.{kind}";
            if (init && Json.Text(container["restartPolicy"]) != "Always")
            {
                yield return FieldError.Forbidden(field, "may not be set for init containers without restartPolicy=Always");
                continue;
            }
            foreach (var error in Action(probe, field, ProbeActions)) yield return error;
            foreach (var number in (string[])["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"])
                foreach (var error in Check.NonNegative($"{field}.{number}", probe[number])) yield return error;
            if (kind != "readinessProbe" && Json.Whole(probe["successThreshold"]) is not (null or 0 or 1) and var threshold)
                yield return FieldError.Invalid($"{field}.successThreshold", threshold, "must be 1");
        }
    }

    private static IEnumerable<FieldError> Hooks(JsonObject container, string at, bool init)
    {
        if (init && Json.Text(container["restartPolicy"]) != "Always")
        {
            if (container["lifecycle"] is JsonObject)
                yield return FieldError.Forbidden($"{at}.lifecycle", "may not be set for init containers without restartPolicy=Always");
            yield break;
        }
        foreach (var hook in (string[])["postStart", "preStop"])
            if (container.At("lifecycle", hook) is JsonObject action)
                foreach (var error in Action(action, $"{at}.lifecycle.{hook}", HookActions)) yield return error;
    }

    private static IEnumerable<FieldError> Action(JsonObject holder, string field, string[] kinds)
    {
        var given = kinds.Where(kind => holder[kind] is JsonObject).ToList();
        if (given.Count == 0) yield return FieldError.Required(field, "must specify a handler type");
        foreach (var extra in given.Skip(1)) yield return FieldError.Forbidden($"{field}.{extra}", "may not specify more than 1 handler type");
        if (holder["exec"] is JsonObject exec && Json.Texts(exec["command"]).IsEmpty) yield return FieldError.Required($"{field}.exec.command");
        foreach (var kind in (string[])["httpGet", "tcpSocket"])
            if (holder[kind] is JsonObject action)
                foreach (var error in Check.PortOrName($"{field}.{kind}.port", action["port"])) yield return error;
        if (holder["httpGet"] is JsonObject get)
            foreach (var error in Check.OneOf($"{field}.httpGet.scheme", get["scheme"] ?? "HTTP", "HTTP", "HTTPS")) yield return error;
        if (holder["grpc"] is JsonObject grpc)
            foreach (var error in Check.Port($"{field}.grpc.port", grpc["port"])) yield return error;
    }

    private static IEnumerable<FieldError> Resources(JsonObject container, string at)
    {
        if (container.At("resources", "requests") is not JsonObject requests) yield break;
        foreach (var (resource, node) in requests)
        {
            if (Quantity.Nanos(Text(node)) is not { } asked) continue;
            var limit = Text(container.At("resources", "limits", resource));
            if (asked < 0) yield return FieldError.Invalid($"{at}.resources.requests[{resource}]", Text(node), Check.NotNegative);
            else if (Quantity.Nanos(limit) is { } most && asked > most)
                yield return FieldError.Invalid($"{at}.resources.requests", Text(node), $"must be less than or equal to {resource} limit of {limit}");
        }

        static string Text(JsonNode? node) => Json.TextOrNull(node) ?? node?.ToJsonString() ?? "";
    }

    public static IEnumerable<FieldError> Security(JsonNode? context, string path)
    {
        foreach (var id in (string[])["runAsUser", "runAsGroup", "fsGroup"])
            if (Json.Whole(context.At(id)) is (< 0 or > int.MaxValue) and var value)
                yield return FieldError.Invalid($"{path}.{id}", value, "must be between 0 and 2147483647, inclusive");
        if (Json.Truth(context.At("privileged")) == true && Json.Truth(context.At("allowPrivilegeEscalation")) == false)
            yield return FieldError.Invalid(path, context!.DeepClone(), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    }
}
