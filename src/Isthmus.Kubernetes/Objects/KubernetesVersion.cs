namespace Isthmus.Kubernetes.Objects;

/// <summary>The Kubernetes whose API the lab serves, told alike by API servers, their OpenAPI documents and Nodes.</summary>
public static class KubernetesVersion
{
    public const string Text = "v1.32.0";

    /// <summary>With a build tag, so that nobody takes it for the original.</summary>
    public const string Tagged = Text + "+isthmus";
}
