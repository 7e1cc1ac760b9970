namespace Isthmus.Kubernetes.Objects;

/// <summary>The Kubernetes version whose API the lab serves. API servers, their OpenAPI documents and Nodes report
/// it.</summary>
public static class KubernetesVersion
{
    public const string Text = "v1.32.0";

    /// <summary>With a build tag, so that nobody mistakes it for the original.</summary>
    public const string Tagged = Text + "+isthmus";
}
