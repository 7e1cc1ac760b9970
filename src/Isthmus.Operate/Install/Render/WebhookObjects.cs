using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;

namespace Isthmus.Operate.Install.Render;

/// <summary>The injection and validation webhooks. The control plane fills in the CA bundle once it has one.</summary>
internal static class WebhookObjects
{
    internal const string HistoryPath = "/history";

    private const string ValidationPath = "/validate";

    internal static string InjectorName(OperatorSpec spec) =>
        "istio-sidecar-injector" + Revision(spec) + (spec.Namespace == WellKnown.SystemNamespace ? "" : $"-{spec.Namespace}");

    internal static string ValidatorName(OperatorSpec spec) => $"istio-validator{Revision(spec)}-{spec.Namespace}";

    /// <summary>The injector of the revision, and one for each of its tags.</summary>
    /// <param name="path">The webhook's path, <c>/inject</c> or with the remote cluster's parameters.</param>
    /// <param name="url">A URL to use instead of the Service; empty for the Service.</param>
    internal static IEnumerable<JsonObject> Injectors(OperatorSpec spec, string component, string path, string url)
    {
        var own = Injector(spec, component, path, url);
        return RevisionTagObjects.Webhooks(spec, own).Prepend(own);
    }

    private static JsonObject Injector(OperatorSpec spec, string component, string path, string url)
    {
        var configuration = Object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", InjectorName(spec), null,
            Make(spec, component, "istiod", ("app", "sidecar-injector")));
        var isDefault = spec.Revision.Length == 0 || spec.Values["defaultRevision"]?.ToString() == spec.Revision;
        configuration["webhooks"] = Injectors(spec.RevisionOrDefault, isDefault, InjectsByDefault(spec), Client(spec, path, url));
        return configuration;
    }

    /// <param name="name">The value of the label <c>istio.io/rev</c> to match: a revision or a tag.</param>
    /// <param name="isDefault">Whether to match also namespaces and Pods that request injection without a revision.</param>
    /// <param name="byDefault">Whether these include namespaces that do not request it.</param>
    internal static JsonArray Injectors(string name, bool isDefault, bool byDefault, JsonObject client)
    {
        var webhooks = new JsonArray(
            Injector("rev.namespace.sidecar-injector.istio.io", client,
                [In(Labels.Revision, name), Absent(Labels.Injection)],
                [NotIn(Labels.Inject, "false")]),
            Injector("rev.object.sidecar-injector.istio.io", client,
                [Absent(Labels.Revision), Absent(Labels.Injection)],
                [NotIn(Labels.Inject, "false"), In(Labels.Revision, name)]));
        if (!isDefault) return webhooks;
        webhooks.Add((JsonNode)Injector("namespace.sidecar-injector.istio.io", client,
            [In(Labels.Injection, "enabled")],
            [NotIn(Labels.Inject, "false")]));
        webhooks.Add((JsonNode)Injector("object.sidecar-injector.istio.io", client,
            [Absent(Labels.Injection), Absent(Labels.Revision)],
            [In(Labels.Inject, "true"), Absent(Labels.Revision)]));
        if (byDefault)
        {
            webhooks.Add((JsonNode)Injector(DefaultInjection.Webhook, client,
                [Absent(Labels.Injection), Absent(Labels.Revision), NotIn("kubernetes.io/metadata.name", [.. DefaultInjection.Exempt])],
                [Absent(Labels.Inject), Absent(Labels.Revision)]));
        }
        return webhooks;
    }

    internal static bool InjectsByDefault(OperatorSpec spec) => (bool?)spec.Value("sidecarInjectorWebhook", "enableNamespacesByDefault") ?? false;

    private static JsonObject Injector(string name, JsonObject client, JsonObject[] namespaces, JsonObject[] objects) => new()
    {
        ["name"] = name,
        ["clientConfig"] = client.DeepClone(),
        ["sideEffects"] = "None",
        ["rules"] = new JsonArray(new JsonObject
        {
            ["operations"] = Strings("CREATE"), ["apiGroups"] = Strings(""), ["apiVersions"] = Strings("v1"), ["resources"] = Strings("pods"),
        }),
        ["failurePolicy"] = "Fail",
        ["reinvocationPolicy"] = "Never",
        ["admissionReviewVersions"] = Strings("v1"),
        ["namespaceSelector"] = new JsonObject { ["matchExpressions"] = new JsonArray(namespaces) },
        ["objectSelector"] = new JsonObject { ["matchExpressions"] = new JsonArray(objects) },
    };

    internal static JsonObject Validator(OperatorSpec spec)
    {
        var configuration = Object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", ValidatorName(spec), null,
            Make(spec, "Pilot", "istiod", ("app", "istiod"), ("istio", "istiod")));
        var webhooks = new JsonArray(Validator(spec, "rev.validation.istio.io", In(Labels.Revision, spec.RevisionOrDefault)));
        // Objects that name no revision apply to all revisions. Objects of other revisions are not ours to judge.
        if (spec.Revision.Length == 0) webhooks.Add((JsonNode)Validator(spec, "validation.istio.io", Absent(Labels.Revision)));
        foreach (var told in History(spec)) webhooks.Add((JsonNode)told);
        configuration["webhooks"] = webhooks;
        return configuration;
    }

    /// <summary>Those of a cluster whose control plane is elsewhere, and that has no webhooks of validation.</summary>
    internal static JsonObject RemoteHistory(OperatorSpec spec, string component, string path)
    {
        var configuration = Object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration",
            $"isthmus-history{Revision(spec)}-{spec.Namespace}", null, Make(spec, component, "istiod", ("app", "istiod")));
        configuration["webhooks"] = new JsonArray([.. History(Client(spec, path, ""))]);
        return configuration;
    }

    private static IEnumerable<JsonObject> History(OperatorSpec spec)
    {
        var url = spec.Value("base", "validationURL")?.ToString() ?? "";
        // Another one does not say where the control plane is told.
        if (url.Length > 0 && !url.EndsWith(ValidationPath, StringComparison.Ordinal)) return [];
        return History(Client(spec, HistoryPath, url.Length == 0 ? "" : $"{url[..^ValidationPath.Length]}{HistoryPath}"));
    }

    /// <summary>Tell the control plane who deletes and scales, for its history. Nothing ever waits for them. Of Secrets, only remote secrets are sent, which it
    /// reads anyway.</summary>
    private static IEnumerable<JsonObject> History(JsonObject client)
    {
        yield return History(WellKnown.HistoryWebhook, client,
        [
            Rule(["DELETE"], [.. MeshApi.IstioGroups, MeshApi.ApiGateway.Group, MeshApi.ServiceExport.Group], ["*"]),
            Rule(["DELETE"], [""], [MeshApi.Namespace.Plural, MeshApi.Service.Plural]),
            Rule(["DELETE"], [MeshApi.Ingress.Group], [MeshApi.Ingress.Plural, MeshApi.IngressClass.Plural]),
            Rule(["DELETE"], [MeshApi.Deployment.Group], [MeshApi.Deployment.Plural, MeshApi.StatefulSet.Plural, MeshApi.DaemonSet.Plural]),
            Rule(["UPDATE"], [MeshApi.Deployment.Group],
                [.. ((KindDescriptor[])[MeshApi.Deployment, MeshApi.StatefulSet]).SelectMany(kind => (string[])[kind.Plural, $"{kind.Plural}/scale"])]),
        ], condition: "request.operation == \"DELETE\" || request.kind.kind == \"Scale\" || object.spec.replicas != oldObject.spec.replicas");
        yield return History($"secrets.{WellKnown.HistoryWebhook}", client, [Rule(["DELETE"], [""], [MeshApi.Secret.Plural])],
            objects: In(Labels.MultiCluster, "true"));
    }

    private static JsonObject History(string name, JsonObject client, JsonObject[] rules, string condition = "", JsonObject? objects = null)
    {
        var webhook = new JsonObject
        {
            ["name"] = name, ["clientConfig"] = client.DeepClone(), ["rules"] = new JsonArray([.. rules]), ["failurePolicy"] = "Ignore", ["timeoutSeconds"] = 1,
            ["sideEffects"] = "NoneOnDryRun", ["admissionReviewVersions"] = Strings("v1"),
        };
        // An API server that does not know conditions sends every update, and the control plane compares itself.
        if (condition.Length > 0) webhook["matchConditions"] = new JsonArray(new JsonObject { ["name"] = "deleted-or-scaled", ["expression"] = condition });
        if (objects is not null) webhook["objectSelector"] = new JsonObject { ["matchExpressions"] = new JsonArray(objects) };
        return webhook;
    }

    private static JsonObject Rule(string[] operations, string[] groups, string[] resources) => new()
    {
        ["operations"] = Strings(operations), ["apiGroups"] = Strings(groups), ["apiVersions"] = Strings("*"), ["resources"] = Strings(resources),
    };

    private static JsonObject Validator(OperatorSpec spec, string name, JsonObject objects) => new()
    {
        ["name"] = name,
        ["clientConfig"] = Client(spec, ValidationPath, spec.Value("base", "validationURL")?.ToString() ?? ""),
        ["rules"] = new JsonArray(new JsonObject
        {
            ["operations"] = Strings("CREATE", "UPDATE"),
            ["apiGroups"] = Strings([.. MeshApi.IstioGroups]),
            ["apiVersions"] = Strings("*"),
            ["resources"] = Strings("*"),
        }),
        // Ignore until the control plane is up: it sets Fail once it has written its CA bundle.
        ["failurePolicy"] = "Ignore",
        ["sideEffects"] = "None",
        ["admissionReviewVersions"] = Strings("v1"),
        ["objectSelector"] = new JsonObject { ["matchExpressions"] = new JsonArray(objects) },
    };

    private static JsonObject Client(OperatorSpec spec, string path, string url) => url.Length > 0
        ? new JsonObject { ["url"] = url }
        : new JsonObject
        {
            ["service"] = new JsonObject { ["name"] = $"istiod{Revision(spec)}", ["namespace"] = spec.Namespace, ["path"] = path, ["port"] = 443 },
        };

    private static string Revision(OperatorSpec spec) => spec.Revision.Length == 0 ? "" : $"-{spec.Revision}";

    private static JsonObject In(string key, string value) => new() { ["key"] = key, ["operator"] = "In", ["values"] = Strings(value) };

    private static JsonObject NotIn(string key, params string[] values) => new() { ["key"] = key, ["operator"] = "NotIn", ["values"] = Strings(values) };

    private static JsonObject Absent(string key) => new() { ["key"] = key, ["operator"] = "DoesNotExist" };
}
