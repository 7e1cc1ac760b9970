using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>Gives every Pod a service account, and its containers the account's token.</summary>
internal sealed class ServiceAccountAdmission(IObjectStore store, Random random) : IAdmissionPlugin
{
    private const string VolumePrefix = "kube-api-access-";
    private const string MountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
    private const string MirrorAnnotation = "kubernetes.io/config.mirror";

    // An hour, and seven seconds by which Kubernetes knows that it asked for the token itself.
    private const int TokenSeconds = 3607;
    private const int ReadableMode = 420; // 0644

    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (!IsPodCreation(request) || request.Object?["spec"] is not JsonObject spec) return default;
        if (request.Object.At("metadata", "annotations", MirrorAnnotation) is not null) return default;
        if (Json.Text(spec["serviceAccountName"]).Length == 0) spec["serviceAccountName"] = "default";
        spec["serviceAccount"] = Json.Text(spec["serviceAccountName"]);
        var account = Account(request, spec);
        if (Json.Truth(spec["automountServiceAccountToken"]) ?? Json.Truth(account["automountServiceAccountToken"]) ?? true) MountToken(spec);
        if (spec["imagePullSecrets"] is not JsonArray { Count: > 0 } && account["imagePullSecrets"] is JsonArray { Count: > 0 } secrets)
            spec["imagePullSecrets"] = secrets.DeepClone();
        return default;
    }

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (IsPodCreation(request) && request.Object?["spec"] is JsonObject spec && request.Object.At("metadata", "annotations", MirrorAnnotation) is null)
            Account(request, spec);
        return default;
    }

    private static bool IsPodCreation(AdmissionRequest request) =>
        request is { Operation: "CREATE", Subresource: "", Kind: { Group: "", Plural: "pods" } };

    private JsonObject Account(AdmissionRequest request, JsonObject spec)
    {
        var name = Json.Text(spec["serviceAccountName"]);
        return store.Find(Resources.ServiceAccounts, request.Namespace, name)?.Parse()
            ?? throw ApiException.Forbidden("", "pods", request.Name,
                $"error looking up service account {request.Namespace}/{name}: serviceaccount \"{name}\" not found");
    }

    private void MountToken(JsonObject spec)
    {
        var bare = Json.Objects(spec["initContainers"]).Concat(Json.Objects(spec["containers"]))
            .Where(container => Json.Objects(container["volumeMounts"]).All(mount => Json.Text(mount["mountPath"]) != MountPath))
            .ToList();
        if (bare.Count == 0) return;
        // A second round finds the volume of the first.
        var held = Json.Objects(spec["volumes"]).Select(volume => Json.Text(volume["name"]))
            .FirstOrDefault(name => name.StartsWith(VolumePrefix, StringComparison.Ordinal));
        var volume = held ?? ObjectNames.Generate(VolumePrefix, random);
        foreach (var container in bare)
        {
            if (container["volumeMounts"] is not JsonArray mounts) container["volumeMounts"] = mounts = [];
            mounts.Add((JsonNode)new JsonObject { ["name"] = volume, ["readOnly"] = true, ["mountPath"] = MountPath });
        }
        if (held is not null) return;
        if (spec["volumes"] is not JsonArray volumes) spec["volumes"] = volumes = [];
        volumes.Add((JsonNode)Volume(volume));
    }

    private static JsonObject Volume(string name) => new()
    {
        ["name"] = name,
        ["projected"] = new JsonObject
        {
            ["sources"] = new JsonArray(
                new JsonObject { ["serviceAccountToken"] = new JsonObject { ["expirationSeconds"] = TokenSeconds, ["path"] = "token" } },
                new JsonObject
                {
                    ["configMap"] = new JsonObject
                    {
                        ["name"] = "kube-root-ca.crt",
                        ["items"] = new JsonArray(new JsonObject { ["key"] = "ca.crt", ["path"] = "ca.crt" }),
                    },
                },
                new JsonObject
                {
                    ["downwardAPI"] = new JsonObject
                    {
                        ["items"] = new JsonArray(new JsonObject
                        {
                            ["path"] = "namespace",
                            ["fieldRef"] = new JsonObject { ["apiVersion"] = "v1", ["fieldPath"] = "metadata.namespace" },
                        }),
                    },
                }),
            ["defaultMode"] = ReadableMode,
        },
    };
}
