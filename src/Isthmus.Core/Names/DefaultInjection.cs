namespace Isthmus.Core.Names;

/// <summary>Injection of Pods whose namespace does not ask for it (<c>values.sidecarInjectorWebhook.enableNamespacesByDefault</c>).</summary>
public static class DefaultInjection
{
    /// <summary>The name of the webhook.</summary>
    public const string Webhook = "auto.sidecar-injector.istio.io";

    /// <summary>Namespaces of Kubernetes itself, whose Pods it leaves alone.</summary>
    public static IReadOnlyList<string> Exempt { get; } = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];
}
