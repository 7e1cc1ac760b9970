using System.Net;
using System.Net.Http;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>Modules from plain web servers.</summary>
internal sealed class ModuleDownload(ModuleHttp http, TimeProvider time)
{
    private const int Attempts = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);

    /// <exception cref="ModuleException">The module cannot be fetched.</exception>
    public async Task<byte[]> GetAsync(string address, CancellationToken stop)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var url)) throw new ModuleException($"\"{address}\" is not a URL");
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, url);
                using var response = await http.SendAsync(request, stop).ConfigureAwait(false);
                if (response.StatusCode == HttpStatusCode.OK)
                    return ModuleArchive.Unpack(await ModuleHttp.BodyAsync(response, ModuleArchive.MaxBytes, stop).ConfigureAwait(false));
                var failure = new ModuleException($"the server answers {(int)response.StatusCode}");
                if (attempt == Attempts || !IsPassing(response.StatusCode)) throw failure;
            }
            // The name may not resolve yet, or the server may be starting.
            catch (ModuleException e) when (attempt < Attempts && e.InnerException is HttpRequestException)
            {
            }
            await Task.Delay(FirstPause * Math.Pow(2, attempt - 1), time, stop).ConfigureAwait(false);
        }
    }

    private static bool IsPassing(HttpStatusCode status) => (int)status >= 500
        && status is not (HttpStatusCode.NotImplemented or HttpStatusCode.HttpVersionNotSupported or HttpStatusCode.NetworkAuthenticationRequired);
}
