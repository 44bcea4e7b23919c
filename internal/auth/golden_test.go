package auth

// Computed with another implementation of the rule in docs/security.md, from the
// secret 00 01 … 1f.
const (
	goldenKeyID       = "5e32704e282f32ca"
	goldenText        = "676f6b76206175746800014c01e0e1e2e3e4e5e6e7e8e9eaebecedeeefe0e1e2e3e4e5e6e7e8e9eaebecedeeef111213141516171801020304050607085e32704e282f32ca04676f6b76"
	goldenListenerMAC = "b7b43a63add023f7a2b01d40cef5baf6992835bce5d07385c6586c71344e62b8"
	goldenDiallerMAC  = "76de373f8e233d87fde53963023a0e2f251ceceef66fa8b40c898317d4020280"
)
