using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>An installation removes what an earlier one of its name made and it does not have. A control plane that goes this way leaves all
/// proxies of the cluster without one, which is easily not meant: whoever means it uninstalls.</summary>
internal static class LostControlPlane
{
    /// <param name="objects">Those of the installation.</param>
    /// <exception cref="ProblemException">The installation would remove the control plane, and leads to no other one.</exception>
    public static async Task CheckAsync(KubeClient client, OperatorSpec spec, IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        if (spec.Enabled("pilot") || spec.Enabled("istiodRemote")) return;
        IReadOnlyList<Removal> extra;
        try { extra = await Installer.ExtraAsync(client, spec, objects, stop); }
        // Whoever may not list it does not remove it.
        catch (KubeException e) when (e.Code is 401 or 403) { return; }
        var names = new IstiodObjects.Names(spec);
        var plane = extra.FirstOrDefault(removal => removal.Kind == Kinds.Deployment && removal.Namespace == names.Namespace && removal.Name == names.Istiod);
        if (plane is null) return;
        var webhooks = extra.Where(removal => removal.Kind == Kinds.MutatingWebhookConfiguration).ToList();
        var rest = extra.Count - 1 - webhooks.Count;
        throw new ProblemException($"the installation in {client.Access.Name}",
            $"has no control plane, and removes the one that runs: {string.Join(", ", webhooks.Prepend(plane))}"
                + (rest > 0 ? $" and {Counted.Of(rest, "object")} more" : "") + ". Proxies would get no configuration and no certificates any more, and new "
                + "Pods no sidecar",
            "give the files and flags of the installation again, with its profile; to remove it: isthmus uninstall "
                + $"--context={client.Access.Name} --revision {spec.RevisionOrDefault}");
    }
}
