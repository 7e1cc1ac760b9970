namespace Isthmus.Lab;

/// <summary>The Kubernetes whose API the lab serves, told alike by API servers, their OpenAPI documents and Nodes.</summary>
internal static class KubernetesVersion
{
    internal const string Text = "v1.32.0";

    /// <summary>With a build tag, so that nobody takes it for the original.</summary>
    internal const string Tagged = Text + "+isthmus";
}
