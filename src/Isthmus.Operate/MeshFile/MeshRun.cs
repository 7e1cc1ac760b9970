using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.GlobalNames;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.RemoteSecrets;

namespace Isthmus.Operate.MeshFile;

/// <summary>Options for bringing up a mesh.</summary>
/// <param name="Limit">The time limit for all of it.</param>
/// <param name="OnControlPlane">More work to do in a cluster once its Pods are injected, in parallel with the
/// gateways.</param>
/// <param name="AwaitWatches">Whether to wait until every control plane watches every cluster.</param>
/// <param name="TakesOver">Whether to include clusters that belong to another mesh.</param>
public sealed record MeshRunSettings(TimeSpan Limit, Func<ClusterLink, CancellationToken, Task>? OnControlPlane = null, bool AwaitWatches = true,
    bool TakesOver = false);

/// <summary>Brings live clusters in line with a mesh file, all in parallel. It changes only what the plan found to
/// differ.</summary>
public sealed class MeshRun(MeshDesign design, MeshLinks links, MeshPlan plan, MeshRunSettings settings, IMeshProgress progress, TimeProvider time)
{
    private readonly StepLog _steps = new(progress, time);
    private readonly long _begun = time.GetTimestamp();
    private Task _credentials = Task.CompletedTask;

    /// <exception cref="MeshProblemsException">What failed, in all clusters.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        // Of all clusters, before one is changed.
        await AllAsync([.. links.All.Where(link => plan.Changes.Any(change => change.Cluster == link.Name)).Select(link => MeetsAsync(link, stop))], stop);
        var trust = new MeshTrust(design.Mesh, time);
        if (plan.Touches("", Part.Certificates)) await _steps.RunAsync("", "root and intermediate CAs", () => Task.Run(trust.Make, stop));
        await EachAsync(link => PrepareAsync(link, trust, stop));
        var installed = new Dictionary<string, Task>(StringComparer.Ordinal);
        _credentials = Task.WhenAll(links.All.Select(link => SecretAsync(link, stop)));
        // Primaries come first: remotes wait for their gateways.
        foreach (var link in links.All.OrderByDescending(link => link.Cluster.IsPrimary))
            installed[link.Name] = link.Cluster.IsPrimary ? PrimaryAsync(link, stop) : RemoteAsync(link, trust, installed, stop);
        await AllAsync([.. installed.Values, _credentials], stop);
    }

    private async Task MeetsAsync(ClusterLink link, CancellationToken stop)
    {
        // The address of a primary is known only when its gateway runs. The kinds of objects do not depend on it.
        var spec = design.Installation(link.Cluster, link.Cluster.IsPrimary ? "" : "192.0.2.1");
        var components = Manifests.Render(spec);
        if (design.HasGateway(link.Cluster)) components = [.. components, .. Manifests.Render(design.Gateway(link.Cluster))];
        const string step = "image of the control plane, which no node lists yet";
        var (begun, waits) = (time.GetTimestamp(), false);
        await new Preconditions(link.Client, time, _ =>
        {
            waits = true;
            progress.Started(link.Name, step);
        })
        {
            NamesRemedy = other => NamesRemedy(link, other), Unread = text => _steps.Note(link.Name, text),
        }.CheckAsync(spec, components, stop);
        if (waits) progress.Finished(link.Name, step, time.GetElapsedTime(begun));
    }

    /// <param name="link">The cluster.</param>
    /// <param name="other">The ConfigMap of another revision than the file's, which may be all that is left of it.</param>
    private string NamesRemedy(ClusterLink link, ConfigMap? other)
    {
        var source = design.Mesh.Source;
        var keep = $"keep them in {(source == MeshSpec.StandardInput ? "the mesh file" : source)}, where spec.join: discovery gives them; or ";
        return keep + (other is null
            ? $"take the mesh down with the file as it was, and bring it up again: isthmus mesh down -f {(source == MeshSpec.StandardInput ? "FILE" : source)}"
            : $"if nothing uses revision {InstalledIdentity.RevisionOf(other)} any more, of which ConfigMap {other.Metadata.Namespace}/{other.Metadata.Name} "
                + $"is left, remove it: isthmus uninstall --revision {InstalledIdentity.RevisionOf(other)} --context {link.Cluster.Context}");
    }

    private TimeSpan Remaining => settings.Limit - time.GetElapsedTime(_begun) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;

    private Task EachAsync(Func<ClusterLink, Task> work) => Task.WhenAll(links.All.Select(work));

    /// <summary>A failure in one cluster does not stop the others; all failures are reported at the end.</summary>
    private static async Task AllAsync(IReadOnlyList<Task> work, CancellationToken stop)
    {
        try
        {
            await Task.WhenAll(work);
        }
        catch (Exception) when (!stop.IsCancellationRequested)
        {
            var causes = work.SelectMany(task => task.Exception?.Flatten().InnerExceptions ?? []).Distinct().ToList();
            if (causes.Find(cause => cause is not (ProblemException or KubeException or HttpRequestException)) is not null) throw;
            throw new MeshProblemsException([.. causes.Select(cause => cause is ProblemException known ? known.Problem : new Problem("", "", "", cause.Message))
                .Distinct()]);
        }
    }

    private async Task PrepareAsync(ClusterLink link, MeshTrust trust, CancellationToken stop)
    {
        foreach (var removal in plan.Changes.Where(change => change.Cluster == link.Name).Select(change => change.Removal).OfType<Removal>())
        {
            await link.Client.DeleteAsync(removal.Kind, removal.Namespace, removal.Name, stop);
            _steps.Note(link.Name, $"Removed {removal}.");
        }
        if (plan.Touches(link.Name, Part.Nodes))
            await _steps.RunAsync(link.Name, "region and zone of Nodes", () => new NodePlaces(design, link).ApplyAsync(stop));
        if (!plan.Touches(link.Name, Part.Namespace)) return;
        await _steps.RunAsync(link.Name, "namespace and CA Secret", async () =>
        {
            await ApplyAsync(link, Kinds.Namespace, design.Namespace(link.Cluster), stop);
            if (link.Cluster.IsPrimary) await ApplyAsync(link, Kinds.Secret, trust.CaSecret(link.Cluster)!, stop);
        });
    }

    /// <summary>Keeps objects that a user created: only objects created from a mesh file are removed with the
    /// mesh.</summary>
    private async Task ApplyAsync(ClusterLink link, ResourceKind kind, JsonObject value, CancellationToken stop)
    {
        var metadata = value["metadata"]!;
        var live = await link.Client.FindAsync(kind, metadata["namespace"]?.ToString(), metadata["name"]!.ToString(), stop);
        await link.Client.ApplyAsync(kind, live is null || live["metadata"]?["annotations"]?[Annotations.Mesh] is not null ? design.Owned(value) : value, stop);
    }

    /// <summary>Gives the credentials of a cluster to the control planes that lack them.</summary>
    private async Task SecretAsync(ClusterLink link, CancellationToken stop)
    {
        var lacking = design.Watches().Where(watch => watch.Watched == link.Name)
            .Where(watch => plan.Changes.Any(change => change.Cluster == watch.Watcher && change.Object == RemoteSecretCheck.Describe(link.Name))).ToList();
        if (lacking.Count == 0) return;
        await _steps.RunAsync(link.Name, $"credentials for {Several(lacking.Select(watch => watch.Watcher).ToList())}", async () =>
        {
            var request = new RemoteSecretRequest { Name = link.Name, Server = link.Server };
            var text = await new RemoteSecret(link.Client, time, _ => { }).MakeAsync(request, stop);
            var secret = design.Owned((JsonObject)YamlText.ParseAll(text, link.Name)[0]);
            await Task.WhenAll(lacking.Select(watch => links[watch.Watcher].Client.ApplyAsync(Kinds.Secret, (JsonObject)secret.DeepClone(), stop)));
        });
    }

    private async Task PrimaryAsync(ClusterLink link, CancellationToken stop)
    {
        // The profile's gateways and the east-west gateways start in parallel.
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var installation = InstallAsync(link, Part.ControlPlane, design.Installation(link.Cluster, ""), ready.SetResult, stop);
        if (await Task.WhenAny(installation, ready.Task) == installation) await installation;
        await Task.WhenAll(installation, GatewayAsync(link, stop), WatchingAsync(link, stop),
            settings.OnControlPlane?.Invoke(link, stop) ?? Task.CompletedTask);
        if (plan.Touches(link.Name, Part.DnsZone)) await _steps.RunAsync(link.Name, Part.DnsZone, () => new GlobalZone(link.Client).ApplyAsync(stop));
    }

    private async Task RemoteAsync(ClusterLink link, MeshTrust trust, Dictionary<string, Task> installed, CancellationToken stop)
    {
        await Task.WhenAll(link.Cluster.Entries.Select(primary => installed[primary]));
        var addresses = await Task.WhenAll(link.Cluster.Entries.Select(primary => GatewayAddress.AwaitAsync(links[primary], Remaining, time, stop)));
        var spec = design.Installation(link.Cluster, MeshDesign.Discovery(addresses));
        await InstallAsync(link, Part.RemoteInstallation, spec, () => { }, stop);
        if (link.Cluster.ControlPlane is { } host) await HostAsync(links[host.Cluster], link, trust, stop);
        // Pods created next need a webhook that the API server trusts. The primary patches it.
        await new Applier(link.Client, time).TrustedAsync([.. Manifests.Render(spec).SelectMany(component => component.Objects)], Remaining, stop);
        await Task.WhenAll(GatewayAsync(link, stop), settings.OnControlPlane?.Invoke(link, stop) ?? Task.CompletedTask);
    }

    /// <summary>Installs a cluster's external control plane in the hosting cluster: credentials first, because it needs
    /// them to start.</summary>
    private async Task HostAsync(ClusterLink host, ClusterLink link, MeshTrust trust, CancellationToken stop)
    {
        var (part, spec) = (Part.Hosted(link.Name), design.HostedControlPlane(link.Cluster));
        if (plan.Touches(host.Name, part))
        {
            var (ns, exposure) = design.HostedPlace(link.Cluster);
            await ApplyAsync(host, Kinds.Namespace, ns, stop);
            await ApplyAsync(host, Kinds.Secret, trust.CaSecret(link.Cluster)!, stop);
            var request = new RemoteSecretRequest
            {
                Name = link.Name, Server = link.Server, Type = "config", Namespace = link.Cluster.SystemNamespace, ServiceAccount = WellKnown.Istiod,
                CreateServiceAccount = false,
            };
            var text = await new RemoteSecret(link.Client, time, _ => { }).MakeAsync(request, stop);
            await host.Client.ApplyAsync(Kinds.Secret, design.Owned((JsonObject)YamlText.ParseAll(text, link.Name)[0]), stop);
            await new Applier(host.Client, time).ApplyAsync(exposure, stop);
        }
        await InstallAsync(host, part, spec, () => { }, stop);
    }

    private async Task GatewayAsync(ClusterLink link, CancellationToken stop)
    {
        if (!design.HasGateway(link.Cluster)) return;
        await Task.WhenAll(InstallAsync(link, Part.Gateway, design.Gateway(link.Cluster), () => { }, stop), ExposeAsync(link, stop));
        await GatewayAddress.AwaitAsync(link, Remaining, time, stop);
    }

    private Task ExposeAsync(ClusterLink link, CancellationToken stop) => plan.Touches(link.Name, Part.Exposure)
        ? new Applier(link.Client, time).ApplyAsync(design.Exposure(link.Cluster), stop)
        : Task.CompletedTask;

    /// <summary>Installs what differs, and waits for what already matches.</summary>
    private async Task InstallAsync(ClusterLink link, string part, OperatorSpec spec, Action onControlPlane, CancellationToken stop)
    {
        if (plan.Touches(link.Name, part) || (part is Part.ControlPlane or Part.RemoteInstallation && plan.Touches(link.Name, Part.Gateways)))
        {
            await _steps.RunAsync(link.Name, part,
                () => new Installer(link.Client, time, new Heard(this, link.Name, onControlPlane)).InstallAsync(spec, Remaining, stop));
            return;
        }
        await new Applier(link.Client, time).ReadyAsync([.. Manifests.Render(spec).SelectMany(component => component.Objects)], Remaining, stop);
    }

    /// <summary>A mesh is up when every control plane watches every cluster, not when the last object is written.</summary>
    private async Task WatchingAsync(ClusterLink link, CancellationToken stop)
    {
        var wanted = design.Watches().Where(watch => watch.Watcher == link.Name).Select(watch => watch.Watched).ToList();
        if (wanted.Count == 0 || !settings.AwaitWatches) return;
        await _credentials;
        var query = new MeshQuery(link.Client, WellKnown.SystemNamespace);
        await _steps.RunAsync(link.Name, $"watches {Several(wanted)}", async () =>
        {
            while (true)
            {
                WatchedClusters watched;
                try
                {
                    watched = await query.WatchedAsync(stop);
                }
                catch (ProblemException e) when (Remaining > TimeSpan.Zero)
                {
                    // One that has just become ready, or is being replaced, answers soon.
                    watched = new([], [e.Problem]);
                }
                var missing = wanted.Where(name => !watched.Lines.Any(line => line.Id == name && line.Status == "synced")).ToList();
                if (missing.Count == 0) return;
                if (Remaining == TimeSpan.Zero)
                {
                    var why = watched.Lines.Select(line => line.Message).Concat(watched.Unknown.Select(silent => $"{silent}")).Where(text => text.Length > 0);
                    throw new ProblemException($"control plane of {link.Name}",
                        $"does not see {string.Join(", ", missing)} after {settings.Limit.TotalSeconds:0} s: "
                            + $"{string.Join("; ", why)}",
                        $"see 'isthmus remote-clusters --context={link.Cluster.Context}'");
                }
                await Task.Delay(TimeSpan.FromMilliseconds(100), time, stop);
            }
        });
    }

    private static string Several(List<string> names) => names.Count <= 2 ? string.Join(", ", names) : $"{names.Count} clusters";

    private sealed class Heard(MeshRun run, string cluster, Action onControlPlane) : IInstallProgress
    {
        public void Started(string component) { }

        public void Finished(string component, TimeSpan took)
        {
            if (component == Manifests.ControlPlane) onControlPlane();
        }

        public void Note(string text) => run._steps.Note(cluster, text);
    }
}
