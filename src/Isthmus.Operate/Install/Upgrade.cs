using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>An installation that replaces one of the same revision and changes nothing but the version. Nothing stores the flags of the earlier one:
/// an upgrade that omits them would change the mesh silently.</summary>
public sealed class Upgrade(KubeClient client, Installer installer)
{
    private const string Remedy = "give the upgrade the files and flags of the installation; to change settings, use 'isthmus install'";

    /// <exception cref="ProblemException">There is nothing to upgrade, or the upgrade would change more than the version.</exception>
    /// <returns>The image that it replaces; empty where no control plane runs.</returns>
    public async Task<string> CheckAsync(OperatorSpec spec, IReadOnlyList<Component> components, CancellationToken stop)
    {
        var deployments = components.SelectMany(component => component.Objects).Where(value => value["kind"]?.ToString() == "Deployment").ToList();
        var missing = new List<string>();
        foreach (var deployment in deployments)
            if (await client.FindAsync(Kinds.Deployment, deployment["metadata"]!["namespace"]!.ToString(), deployment["metadata"]!["name"]!.ToString(),
                stop) is null)
                missing.Add($"Deployment {Applier.Name(deployment)}");
        if (deployments.Count > 0 && missing.Count == deployments.Count)
            throw new ProblemException($"revision {spec.RevisionOrDefault}",
                $"is not installed in {client.Access.Name}: {string.Join(", ", missing)} does not exist",
                "install it with 'isthmus install', or name the revision with --revision");
        if (missing.Count > 0) throw Changed($"create {string.Join(", ", missing)}");
        var extra = (await installer.ExtraAsync(spec, components, stop)).Where(removal => removal.Kind == Kinds.Deployment).ToList();
        if (extra.Count > 0) throw Changed($"remove {string.Join(", ", extra)}");
        if (!spec.Enabled("pilot")) return "";
        if (await InstalledIdentity.ChangesAsync(client, spec, stop) is [var change, ..]) throw Changed($"{change}");
        var names = new IstiodObjects.Names(spec);
        var live = await client.GetAsync(Kinds.Deployment, names.Namespace, names.Istiod, stop);
        return live["spec"]?["template"]?["spec"]?["containers"]?[0]?["image"]?.ToString() ?? "";
    }

    private ProblemException Changed(string what) => new($"the upgrade of {client.Access.Name}", $"would {what}", Remedy);
}
