################################################################################
#
# koboshi-demo
#
################################################################################

# SPDX-License-Identifier: MIT

KOBOSHI_DEMO_VERSION = 0.1.0
KOBOSHI_DEMO_SITE = $(BR2_EXTERNAL_KOBOSHI_PATH)/components
KOBOSHI_DEMO_SITE_METHOD = local
KOBOSHI_DEMO_LICENSE = MIT
KOBOSHI_DEMO_LICENSE_FILES = MIT.txt
KOBOSHI_DEMO_DEPENDENCIES = librfork koboshi

# The licence is at the top of the repository, the package is one folder of it.
define KOBOSHI_DEMO_ADD_LICENSE
	cp $(BR2_EXTERNAL_KOBOSHI_PATH)/LICENSES/MIT.txt $(@D)/
endef
KOBOSHI_DEMO_POST_RSYNC_HOOKS += KOBOSHI_DEMO_ADD_LICENSE

# Not build/: what a make in the repository left there came along with the source.
KOBOSHI_DEMO_MAKE_OPTS = \
	BUILD=$(@D)/objects \
	LIBRFORK=$(STAGING_DIR)/usr/lib/librfork-static.a \
	INSTALL_STRIP= \
	CC="$(TARGET_CC)" \
	CFLAGS="$(TARGET_CFLAGS)" \
	LDFLAGS="$(TARGET_LDFLAGS)"

define KOBOSHI_DEMO_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D) $(KOBOSHI_DEMO_MAKE_OPTS)
endef

define KOBOSHI_DEMO_INSTALL_TARGET_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) -C $(@D) $(KOBOSHI_DEMO_MAKE_OPTS) \
		DESTDIR=$(TARGET_DIR) install
endef

$(eval $(generic-package))
