using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;
using static Isthmus.Operate.Install.Render.Rbac;

namespace Isthmus.Operate.Install.Render;

/// <summary>The console in the cluster (<c>values.console</c>). Its account has no rights, and its Pod no token: viewers bring their own.</summary>
internal static class ConsoleObjects
{
    private const string Component = "Console";
    private const int TlsPort = 8443, ReadyPort = 8080;
    private const string Folder = "/var/run/secrets/isthmus-console";

    internal static bool Enabled(OperatorSpec spec) => (bool?)spec.Value("console", "enabled") ?? false;

    internal static IEnumerable<JsonObject> Build(OperatorSpec spec)
    {
        var values = spec.Value("console") as JsonObject ?? [];
        var hosts = (values["hosts"] as JsonArray ?? []).Select(host => host?.ToString() ?? "").Where(host => host.Length > 0).ToList();
        JsonObject Labelled() => Make(spec, Component, WellKnown.Console, ("app", WellKnown.Console));
        var account = WithPullSecrets(spec, ServiceAccount(WellKnown.Console, spec.Namespace, Labelled()));
        account["automountServiceAccountToken"] = false;
        yield return account;
        var settings = new WorkloadSettings(spec, Chosen(values), null);
        if (hosts.Count > 0)
        {
            var service = Object("v1", "Service", WellKnown.Console, spec.Namespace, Labelled());
            if (settings.ServiceAnnotations is { } annotations) service["metadata"]!["annotations"] = annotations;
            service["spec"] = new JsonObject
            {
                ["ports"] = new JsonArray(IstiodObjects.Port("https", 443, TlsPort)), ["selector"] = new JsonObject { ["app"] = WellKnown.Console }
            };
            yield return service;
        }
        var podLabels = Labelled();
        podLabels[Labels.Inject] = "false";
        var metadata = new JsonObject { ["labels"] = podLabels, ["annotations"] = new JsonObject { [Labels.Inject] = "false" } };
        var pod = PodSpec(spec, values, hosts);
        settings.Apply(pod, metadata);
        var deployment = Object("apps/v1", "Deployment", WellKnown.Console, spec.Namespace, Labelled());
        deployment["spec"] = new JsonObject
        {
            // Sessions are in the memory of one Pod.
            ["replicas"] = 1,
            ["strategy"] = settings.Strategy,
            ["selector"] = new JsonObject { ["matchLabels"] = new JsonObject { ["app"] = WellKnown.Console } },
            ["template"] = new JsonObject { ["metadata"] = metadata, ["spec"] = pod },
        };
        yield return deployment;
    }

    private static JsonObject Chosen(JsonObject values)
    {
        var chosen = (JsonObject)values.DeepClone();
        chosen.Remove("replicaCount");
        return chosen;
    }

    private static JsonObject PodSpec(OperatorSpec spec, JsonObject values, List<string> hosts)
    {
        List<string> args = ["console-server", "--cluster", spec.ClusterName, "--istioNamespace", spec.Namespace];
        if (hosts.Count > 0) args.AddRange(["--hosts", string.Join(',', hosts)]);
        if (values["prometheus"]?.ToString() is { Length: > 0 } prometheus) args.AddRange(["--prometheus", prometheus]);
        var ports = new JsonArray(IstiodObjects.ContainerPort(ReadyPort));
        var mounts = new JsonArray(IstiodObjects.Mount("ca", $"{Folder}/ca"));
        // The CA of the API server is in every namespace, so the Pod needs no token to know it.
        var volumes = new JsonArray(new JsonObject { ["name"] = "ca", ["configMap"] = new JsonObject { ["name"] = "kube-root-ca.crt" } });
        if (hosts.Count > 0)
        {
            ports.Add((JsonNode)IstiodObjects.ContainerPort(TlsPort));
            mounts.Add((JsonNode)IstiodObjects.Mount("tls", $"{Folder}/tls"));
            volumes.Add((JsonNode)new JsonObject { ["name"] = "tls", ["secret"] = new JsonObject { ["secretName"] = values["credentialName"]?.ToString() } });
        }
        var container = new JsonObject
        {
            ["name"] = "console",
            ["image"] = spec.Image(values["image"]?.ToString() is { Length: > 0 } image ? image : "isthmus"),
            ["args"] = Strings([.. args]),
            ["ports"] = ports,
            ["readinessProbe"] = new JsonObject
            {
                ["httpGet"] = new JsonObject { ["path"] = "/ready", ["port"] = ReadyPort }, ["periodSeconds"] = 2, ["timeoutSeconds"] = 5
            },
            // As './isthmus console' sets them: compiling hot code a second time takes more memory than it saves time, and so does collecting garbage seldom.
            ["env"] = new JsonArray(IstiodObjects.Value("DOTNET_TC_CallCounting", "0"), IstiodObjects.Value("DOTNET_GCgen0size", "200000")),
            ["resources"] = new JsonObject
            {
                ["requests"] = new JsonObject { ["cpu"] = "50m", ["memory"] = "96Mi" }, ["limits"] = new JsonObject { ["memory"] = "512Mi" }
            },
            ["securityContext"] = new JsonObject
            {
                ["allowPrivilegeEscalation"] = false, ["readOnlyRootFilesystem"] = true, ["runAsUser"] = ProxyUser.Id, ["runAsGroup"] = ProxyUser.Id,
                ["runAsNonRoot"] = true, ["capabilities"] = new JsonObject { ["drop"] = Strings("ALL") },
                ["seccompProfile"] = new JsonObject { ["type"] = "RuntimeDefault" },
            },
            ["volumeMounts"] = mounts,
        };
        if (spec.Value("global", "imagePullPolicy")?.ToString() is { Length: > 0 } policy) container["imagePullPolicy"] = policy;
        return new JsonObject
        {
            ["serviceAccountName"] = WellKnown.Console,
            ["automountServiceAccountToken"] = false,
            ["securityContext"] = new JsonObject { ["fsGroup"] = ProxyUser.Id },
            ["containers"] = new JsonArray(container),
            ["volumes"] = volumes,
        };
    }
}
