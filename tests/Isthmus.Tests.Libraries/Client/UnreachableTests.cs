using System.Net.Sockets;
using Isthmus.Kubernetes.Client;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

public sealed class UnreachableTests
{
    [Fact]
    public void A_proxy_that_finds_nobody_is_named_without_the_runtimes_words() =>
        Assert.Equal("the HTTP proxy to it (http://127.0.0.1:36407), proxy-url of the kubeconfig or HTTPS_PROXY, cannot reach it", Unreachable.Describe(
            new(HttpRequestError.ProxyTunnelError, "The proxy tunnel request to proxy 'http://127.0.0.1:36407/' failed with status code '502'.\"")));

    [Fact]
    public void A_refused_connection_is_called_so() =>
        Assert.Equal("connection refused", Unreachable.Describe(new("x", new SocketException((int)SocketError.ConnectionRefused))));

    [Fact]
    public async Task So_it_is_when_a_connection_is_refused()
    {
        using var nobody = new ReservedPort();
        using var client = new HttpClient();
        var e = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync(new Uri($"http://{nobody.EndPoint}/"),
            TestContext.Current.CancellationToken));
        Assert.Equal("connection refused", Unreachable.Describe(e));
    }

    [Theory]
    [InlineData("The remote certificate is invalid because of errors in the certificate chain: PartialChain",
        "its certificate is not of the CA in certificate-authority-data of the kubeconfig")]
    [InlineData("The remote certificate is invalid because of errors in the certificate chain: UntrustedRoot",
        "its certificate is not of the CA in certificate-authority-data of the kubeconfig")]
    [InlineData("The remote certificate is invalid because of errors in the certificate chain: NotTimeValid",
        "its certificate has expired, or is not valid yet")]
    [InlineData("The remote certificate is invalid according to the validation procedure: RemoteCertificateNameMismatch",
        "its certificate is for another name or address than this one")]
    [InlineData("Cannot determine the frame size or a corrupted frame was received.", "Cannot determine the frame size or a corrupted frame was received")]
    public void What_is_wrong_with_a_certificate_is_said_in_plain_words(string message, string said) => Assert.Equal($"no TLS connection: {said}",
        Unreachable.Describe(new(HttpRequestError.SecureConnectionError, "", new System.Security.Authentication.AuthenticationException(message))));
}
