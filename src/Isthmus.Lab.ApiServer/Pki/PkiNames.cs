using System.Net;

namespace Isthmus.Lab.ApiServer.Pki;

/// <summary>File names below a cluster's <c>pki/</c> directory and the names that its certificates carry.</summary>
public static class PkiNames
{
    public const string Directory = "pki";
    public const string Ca = "ca";
    public const string ApiServer = "apiserver";
    public const string Admin = "admin";
    public const string Controllers = "controllers";
    public const string Node = "node";
    public const string KubeletClient = "apiserver-kubelet-client";
    public const string ServiceAccountKey = "sa.key";
    public const string ServiceAccountPublicKey = "sa.pub";

    public const string Masters = "system:masters";
    public const string Nodes = "system:nodes";
    public const string NodeUserPrefix = "system:node:";

    /// <summary>The address of the <c>kubernetes</c> Service: the first of the Service range.</summary>
    public static readonly IPAddress KubernetesService = IPAddress.Parse("10.96.0.1");

    /// <summary>The name of a cluster's first node, as kind calls it.</summary>
    public static string NodeName(string cluster) => $"{cluster}-control-plane";
}
