using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>Receives progress, so that a terminal can show it.</summary>
public interface IInstallProgress
{
    void Started(string component);

    void Finished(string component, TimeSpan took);

    void Note(string text);
}

/// <summary>Installs a spec into one cluster: the namespace, the components in order, and the removal of leftovers of an earlier install of the same
/// name.</summary>
public sealed class Installer(KubeClient client, TimeProvider time, IInstallProgress progress)
{
    private static readonly TimeSpan ResolvePatience = TimeSpan.FromSeconds(5);

    public async Task InstallAsync(OperatorSpec spec, TimeSpan readiness, CancellationToken stop)
    {
        var applier = new Applier(client, time);
        var bundle = new GatewayApiBundle(client);
        var components = await bundle.FitAsync(Manifests.Render(spec), stop);
        // Also where nobody looked at the preconditions: nothing may be lost.
        await bundle.CheckAsync(components, stop);
        if (spec.Enabled("istiodRemote") && spec.Value("global", "remotePilotAddress")?.ToString() is null or "")
            progress.Note(
                "injectionURL is set and remotePilotAddress is not: proxies connect to the control plane at the same address, and the webhook calls it through "
                    + "the Service istiod, whose name its certificate must have.");
        await EnsureNamespaceAsync(spec, stop);
        foreach (var component in components)
        {
            var begun = time.GetTimestamp();
            progress.Started(component.Name);
            await applier.ApplyAsync(component.Objects, stop);
            await ResolveAsync(component.Objects, stop);
            await applier.ReadyAsync(component.Objects, readiness, stop);
            // Pods created next need a webhook that the API server trusts.
            if (spec.Enabled("pilot") && component.Objects.Any(value => value["kind"]?.ToString() == "Deployment"))
                await applier.TrustedAsync(component.Objects, readiness, stop);
            progress.Finished(component.Name, time.GetElapsedTime(begun));
            // After RBAC, and before the gateways, which are injected.
            if (component == components[0]) await EnsureControlPlaneAsync(spec, stop);
        }
        await PruneAsync(spec, components, stop);
        await NoteAddressesAsync(components, stop);
    }

    /// <summary>Resolves the control plane's host name now, if it can be resolved here; the control plane keeps the addresses up to date.</summary>
    private async Task ResolveAsync(IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        foreach (var service in objects.Where(value => value["kind"]?.ToString() == "Service"))
        {
            if (service["metadata"]!["annotations"]?[Annotations.ControlPlaneHost]?.ToString() is not { } host)
            {
                await ForgetHostAsync(service, stop);
                continue;
            }
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limit.CancelAfter(ResolvePatience);
            ValueList<Address> addresses = [];
            try
            {
                addresses = (await System.Net.Dns.GetHostAddressesAsync(host, AddressFamily.InterNetwork, limit.Token)).Select(Address.Of).Order()
                    .ToValueList();
            }
            catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !stop.IsCancellationRequested)) { /* reported below */ }
            if (addresses.IsEmpty)
            {
                progress.Note(
                    $"The control plane's host name {host} cannot be resolved here. The control plane resolves it itself, and follows its changes, once it has "
                        + $"a remote secret for this cluster.");
                continue;
            }
            await ControlPlaneSlices.WriteAsync(client, service, addresses, stop);
            progress.Note(
                $"The control plane {host} is at {string.Join(", ", addresses)} now; it follows changes of the name itself, once it has a remote secret for "
                    + $"this cluster.");
        }
    }

    /// <summary>The host name of an earlier installation must not override the address that is given now.</summary>
    private async Task ForgetHostAsync(JsonObject service, CancellationToken stop)
    {
        var (ns, name) = (service["metadata"]!["namespace"]!.ToString(), service["metadata"]!["name"]!.ToString());
        if (await client.FindAsync<Service>(Kinds.Service, ns, name, stop) is not { } present
            || !present.Metadata.Annotations.ContainsKey(Annotations.ControlPlaneHost))
            return;
        var patch = new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { [Annotations.ControlPlaneHost] = null } } };
        await client.PatchAsync(Kinds.Service, ns, name, patch, PatchType.Merge, stop);
    }

    private async Task EnsureNamespaceAsync(OperatorSpec spec, CancellationToken stop)
    {
        var existing = await client.FindAsync<Namespace>(Kinds.Namespace, null, spec.Namespace, stop);
        if (existing is null)
        {
            if (!Manifests.IsInScope(spec, Kinds.Namespace))
                throw new ProblemException($"Namespace {spec.Namespace} in {client.Access.Name}",
                    "does not exist, and values.global.resourceScope is namespace", "create it, or install with values.global.resourceScope=cluster first");
            var metadata = new JsonObject { ["name"] = spec.Namespace };
            if (spec.Network.Length > 0) metadata["labels"] = new JsonObject { [Labels.Network] = spec.Network };
            await client.CreateAsync(Kinds.Namespace, new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = metadata }, stop);
        }
        else
        {
            await EnsureNetworkAsync(spec, existing, stop);
        }
    }

    /// <summary>
    /// Without the annotation no control plane would manage a remote cluster, and its Pods would wait forever. Older guides do not mention it;
    /// a value that the user set, even an empty one, is kept.
    /// </summary>
    private async Task EnsureControlPlaneAsync(OperatorSpec spec, CancellationToken stop)
    {
        if (!spec.Enabled("istiodRemote") || spec.Enabled("pilot") || spec.IsConfigCluster) return;
        var ns = await client.GetAsync<Namespace>(Kinds.Namespace, null, spec.Namespace, stop);
        if (ns.Metadata.Annotations.ContainsKey(Annotations.ControlPlaneClusters)) return;
        var patch = new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { [Annotations.ControlPlaneClusters] = "*" } } };
        await client.PatchAsync(Kinds.Namespace, null, spec.Namespace, patch, PatchType.Merge, stop);
        progress.Note(
            $"Annotated namespace {spec.Namespace} with {Annotations.ControlPlaneClusters}=*: there will be no control plane here; any that has a remote "
                + $"secret for this cluster "
            + $"writes root certificates and webhook trust. To name one: kubectl annotate namespace {spec.Namespace} "
            + $"{Annotations.ControlPlaneClusters}=CLUSTER --overwrite");
    }

    /// <summary>The network label is set if it is missing, whoever created the namespace; a different value is the user's and is kept.</summary>
    private async Task EnsureNetworkAsync(OperatorSpec spec, Namespace existing, CancellationToken stop)
    {
        // A gateway of another network that is installed beside a control plane does not change the cluster's network.
        if (spec.Network.Length == 0 || !(spec.Enabled("pilot") || spec.Enabled("istiodRemote"))) return;
        if (existing.Metadata.Labels.TryGetValue(Labels.Network, out var network))
        {
            if (network != spec.Network)
                progress.Note(
                    $"Namespace {spec.Namespace} has the label {Labels.Network}={network} but values.global.network is {spec.Network}; the label decides. "
                    + $"To change it: kubectl label namespace {spec.Namespace} {Labels.Network}={spec.Network} --overwrite");
            return;
        }
        var patch = new JsonObject { ["metadata"] = new JsonObject { ["labels"] = new JsonObject { [Labels.Network] = spec.Network } } };
        await client.PatchAsync(Kinds.Namespace, null, spec.Namespace, patch, PatchType.Merge, stop);
        progress.Note($"Labelled namespace {spec.Namespace} with {Labels.Network}={spec.Network}.");
    }

    /// <summary>Whether a cluster has a load balancer is known only when it has assigned an address.</summary>
    internal async Task NoteAddressesAsync(IReadOnlyList<Component> components, CancellationToken stop)
    {
        foreach (var service in components.SelectMany(component => component.Objects)
            .Where(value => value["kind"]?.ToString() == "Service" && value["spec"]!["type"]?.ToString() == "LoadBalancer"))
        {
            var (ns, name) = (service["metadata"]!["namespace"]!.ToString(), service["metadata"]!["name"]!.ToString());
            if (await client.FindAsync(Kinds.Service, ns, name, stop) is { } live
                && live["status"]?["loadBalancer"]?["ingress"] is not JsonArray { Count: > 0 })
            {
                progress.Note(
                    $"Service {ns}/{name} has no address yet. If it does not get one, the cluster has no load balancer: install one, such as MetalLB, or set "
                        + $"its type to NodePort, "
                    + $"with the annotation {Annotations.NodeSelector} ('{{}}' for all Nodes).");
            }
        }
    }

    /// <summary>Objects of an earlier install of the same name and revision that this one no longer contains.</summary>
    public Task<IReadOnlyList<Removal>> ExtraAsync(OperatorSpec spec, IReadOnlyList<Component> components, CancellationToken stop) =>
        ExtraAsync(client, spec, [.. components.SelectMany(component => component.Objects)], stop);

    /// <inheritdoc cref="ExtraAsync(OperatorSpec, IReadOnlyList{Component}, CancellationToken)"/>
    internal static async Task<IReadOnlyList<Removal>> ExtraAsync(KubeClient client, OperatorSpec spec, IReadOnlyList<JsonObject> objects,
        CancellationToken stop)
    {
        var wanted = objects.Select(Identity).ToHashSet(StringComparer.Ordinal);
        // Endpoints of a Service with a selector have its labels, but a controller creates them; the slices of a host name are written later.
        var others = objects.Where(value => value["kind"]?.ToString() == "Service").Where(service => service["spec"]?["selector"] is JsonObject { Count: > 0 })
            .Select(service => $"Endpoints/{Applier.Name(service)}").ToHashSet(StringComparer.Ordinal);
        var named = objects.Where(value => value["metadata"]?["annotations"]?[Annotations.ControlPlaneHost] is not null).Select(Applier.Name)
            .ToHashSet(StringComparer.Ordinal);
        var owner = spec.Name.Length == 0 ? "unknown" : spec.Name;
        var selector =
            $"{ObjectLabels.Owner}={owner},{ObjectLabels.OwnerNamespace}={spec.Namespace},"
            + $"{Labels.Revision}={spec.RevisionOrDefault},{ObjectLabels.Release}=istio";
        var extra =
            from found in await Installed.ListAsync(client, selector, stop)
            // Removing the definitions would remove every Istio object with them.
            where Manifests.IsInScope(spec, found.Kind) && found.Kind != Kinds.CustomResourceDefinition && !wanted.Contains(Identity(found.Item))
            where !others.Contains(Identity(found.Item)) && (found.Kind != Kinds.EndpointSlice || !named.Contains(SliceOf(found.Item)))
            select Removal.Of(found.Kind, found.Item);
        return [.. extra];
    }

    private async Task PruneAsync(OperatorSpec spec, IReadOnlyList<Component> components, CancellationToken stop)
    {
        foreach (var removal in await ExtraAsync(spec, components, stop))
        {
            await client.DeleteAsync(removal.Kind, removal.Namespace, removal.Name, stop);
            progress.Note($"Removed {removal}, which is no longer part of the installation.");
        }
    }

    private static string SliceOf(JsonObject slice) => $"{slice["metadata"]!["namespace"]}/{slice["metadata"]!["labels"]?[Labels.ServiceName]}";

    private static string Identity(JsonObject value) => $"{value["kind"]}/{Applier.Name(value)}";
}
