using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Identity;

/// <summary>Creates in every namespace the ServiceAccount <c>default</c> and a copy of the cluster's CA,
/// <c>kube-root-ca.crt</c>.</summary>
internal sealed class AccountController : Controller
{
    internal const string RootConfigMap = "kube-root-ca.crt";
    private const string DefaultAccount = "default";

    internal AccountController(Runtime runtime) : base("serviceaccount-controller", runtime)
    {
        View.Namespaces.Listen(change => Enqueue(change.Key));
        View.ServiceAccounts.Listen(change =>
        {
            if (change is { Object: null, Before.Metadata.Name: DefaultAccount }) Enqueue(change.Before.Metadata.Namespace);
        });
        View.RootCertificates.Listen(change => Enqueue((change.Object ?? change.Before)!.Metadata.Namespace));
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.Namespaces.Find(key) is not { Metadata.DeletionTimestamp: null }) return;
        try
        {
            // Pods wait for the account, so it comes first. Starting both at once saves a round trip.
            await Task.WhenAll(EnsureAccountAsync(key, stop), EnsureRootAsync(key, stop));
        }
        catch (KubeException e) when (e.Code is 403 or 404)
        {
            // The namespace began terminating in the meantime.
        }
    }

    private async Task EnsureAccountAsync(string ns, CancellationToken stop)
    {
        if (View.ServiceAccounts.Find(ns, DefaultAccount) is not null) return;
        await CreateAsync(Kinds.ServiceAccount, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ServiceAccount", ["metadata"] = new JsonObject { ["name"] = DefaultAccount, ["namespace"] = ns },
        }, stop);
    }

    private async Task EnsureRootAsync(string ns, CancellationToken stop)
    {
        var certificate = Runtime.Settings.RootCertificate;
        if (View.RootCertificates.Find(ns, RootConfigMap) is { } present)
        {
            if (present.Metadata.DeletionTimestamp is not null || present.Data.GetValueOrDefault("ca.crt") == certificate && present.Data.Count == 1) return;
            var data = new JsonObject { ["ca.crt"] = certificate };
            foreach (var foreign in present.Data.Keys.Where(name => name != "ca.crt")) data[foreign] = null;
            await Runtime.DoAsync(Write.Patch(Kinds.ConfigMap, present, new JsonObject { ["data"] = data }), stop);
            return;
        }
        await CreateAsync(Kinds.ConfigMap, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ConfigMap",
            ["metadata"] = new JsonObject
            {
                ["name"] = RootConfigMap, ["namespace"] = ns,
                ["annotations"] = new JsonObject
                {
                    ["kubernetes.io/description"] =
                        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or "
                            + "kubernetes.default.svc.",
                },
            },
            ["data"] = new JsonObject { ["ca.crt"] = certificate },
        }, stop);
    }

    private async Task CreateAsync(ResourceKind kind, JsonObject body, CancellationToken stop)
    {
        try
        {
            await Runtime.DoAsync(Write.Create(kind, body), stop);
        }
        catch (KubeException e) when (e.IsAlreadyExists)
        {
            // Created a moment ago, and not in the list yet.
        }
    }
}
