namespace Isthmus.Lab.Controllers.Framework;

/// <summary>Signs the token that goes into a Secret of type <c>kubernetes.io/service-account-token</c>.</summary>
public delegate string SecretTokenSigner(string ns, string account, string accountUid, string secret);

/// <summary>The settings of one cluster's controllers.</summary>
/// <param name="RootCertificate">The cluster's CA in PEM, which <c>kube-root-ca.crt</c> publishes.</param>
/// <param name="SignSecretToken">Signs the tokens of token Secrets.</param>
/// <param name="LoadBalancerPool">Addresses for LoadBalancer Services while the cluster has no IPAddressPool: a CIDR or
/// <c>FIRST-LAST</c>.</param>
public sealed record ControllerSettings(string RootCertificate, SecretTokenSigner SignSecretToken, string LoadBalancerPool)
{
    public TimeProvider Time { get; init; } = TimeProvider.System;

    public Random Random { get; init; } = new();

    /// <summary>Writes a log line for operators.</summary>
    public Action<string> Log { get; init; } = static _ => { };

    /// <summary>How long a node may be silent before it counts as not ready.</summary>
    public TimeSpan NodeGracePeriod { get; init; } = TimeSpan.FromSeconds(40);
}
